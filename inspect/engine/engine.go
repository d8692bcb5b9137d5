package engine

import (
	"context"
	"sync"
	"time"

	"github.com/nscope/nscope/inspect/engine/cgroup"
	"github.com/nscope/nscope/inspect/engine/containerd"
	"github.com/nscope/nscope/inspect/engine/crio"
	"github.com/nscope/nscope/inspect/engine/docker"
	"github.com/nscope/nscope/inspect/engine/flannel"
	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/engine/lab"
	"github.com/nscope/nscope/inspect/engine/podman"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// DefaultTimeout is how long one engine may take.
const DefaultTimeout = time.Second

// Options say what to read. The zero value of a field is its default.
type Options struct {
	// Proc is where procfs is, "/proc" by default.
	Proc string
	// Processes are all processes found, with pids as in Proc.
	Processes []netns.Process
	// Endpoints are the URLs of the Docker and Podman engines to ask ("unix:///run/docker.sock", "tcp://127.0.0.1:2375"). Empty: every
	// socket found, in the reader's own mount namespace and through /proc/<pid>/root of every engine, DOCKER_HOST, and
	// Docker's contexts.
	Endpoints []string
	// Timeout is how long one engine may take to answer; reading its files may take as long again.
	Timeout time.Duration
	// Etcd are URLs of etcd's JSON gateway with flannel's leases ("http://10.0.0.1:2379", with a path where flannel's
	// prefix is not /coreos.com/network).
	Etcd []string
	// HostNS is the initial network namespace, where it is known; else it is taken from Processes (pid 1).
	HostNS snapshot.NSID
	// Hostname returns the host name of a process's UTS namespace, "" where it cannot; nil: none is asked for. It
	// names nested engines that do not answer, and may be called by several goroutines.
	Hostname func(pid int) string
	// Home is the user's home folder (for ~/.docker), os.UserHomeDir by default.
	Home string
	// Getenv is os.Getenv by default.
	Getenv func(string) string
}

// Result is everything read. Lists are not sorted by more than the order of engines.
type Result struct {
	// Engines are sorted by their ids.
	Engines   []snapshot.Engine
	Workloads []snapshot.Workload
	Networks  []snapshot.Network
	Services  []snapshot.Service
	Flannel   []snapshot.Flannel
	Gaps      []snapshot.Gap
}

// families is every kind of engine. A container that two of them know is the first one's.
func families(o *Options) []host.Family {
	return []host.Family{
		docker.Family{Asked: o.Endpoints, Named: docker.Named(o.Home, o.Getenv), Podman: podman.Supplement},
		podman.Family{NoAPI: len(o.Endpoints) > 0},
		containerd.Family{},
		crio.Family{},
		lab.Family{},
		cgroup.Family{},
	}
}

// Read reads all engines. It never fails as a whole: what could not be read is in Gaps. A machine without any engine
// has neither engines nor gaps.
func Read(ctx context.Context, o Options) Result {
	o.defaults()
	v := host.NewView(o.Proc, o.Processes)
	v.Timeout, v.Hostname = o.Timeout, o.Hostname
	if o.HostNS != "" {
		v.HostNS = o.HostNS
	}
	v.FindPlaces(lasting(v)...)
	defer v.Close()

	var engines []host.Engine
	for _, f := range families(&o) {
		engines = append(engines, f.Find(v)...)
	}
	answers := make([]host.Answer, len(engines))
	var wg sync.WaitGroup
	for i, e := range engines {
		wg.Go(func() { answers[i] = e.Read(ctx, v) })
	}
	var subnets []snapshot.Flannel
	var gaps []snapshot.Gap
	wg.Go(func() { subnets, gaps = flannel.Read(ctx, v, o.Etcd) })
	wg.Wait()
	r := join(v, answers)
	r.Flannel = subnets
	r.Gaps = append(r.Gaps, gaps...)
	r.nameNodes()
	return r
}

// daemons are the processes in whose mount namespaces engines have their files.
var daemons = []string{"dockerd", "containerd", "crio", "podman", "k3s", "flanneld"}

// keepers are those that stay with a container when the daemon is gone.
var keepers = []string{"containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim", "conmon"}

// lasting returns these processes, daemons first: a keeper ends with its container, and one that only starts or deletes a
// container ("containerd-shim-runc-v2 … start") at once.
func lasting(v *host.View) []*netns.Process {
	processes := v.Table.Named(daemons...)
	var brief []*netns.Process
	for _, p := range v.Table.Named(keepers...) {
		if n := len(p.Args); n > 0 && (p.Args[n-1] == "start" || p.Args[n-1] == "delete") {
			brief = append(brief, p)
		} else {
			processes = append(processes, p)
		}
	}
	return append(processes, brief...)
}
