package inspect

import (
	"runtime"
	"time"
)

// Depth says how much is read in each namespace.
type Depth int

const (
	// Full reads everything: what a snapshot holds.
	Full Depth = iota
	// Topology reads what the graph is made of: links, addresses, routes, rules, neighbours, FDB, netfilter, IPVS,
	// and the listening sockets where a program may stand on a published port in a container's place.
	Topology
)

type options struct {
	proc      string
	engines   bool
	endpoints []string
	etcd      []string
	timeout   time.Duration
	tool      string
	depth     Depth
	traffic   bool
	selfOnly  bool
	workers   int
	progress  func(done, total int)
}

// Option changes what [Collect] reads.
type Option func(*options)

// WithProc sets where the host's /proc is mounted, where it is not /proc.
func WithProc(dir string) Option { return func(o *options) { o.proc = dir } }

// WithoutEngines asks no engine and reads no engine's files: the kernel's facts alone.
func WithoutEngines() Option { return func(o *options) { o.engines = false } }

// WithEndpoints asks these engines (unix:///run/docker.sock, tcp://…) instead of every one that is found.
func WithEndpoints(urls ...string) Option { return func(o *options) { o.endpoints = urls } }

// WithEtcd reads flannel's leases from these etcd v3 JSON gateways.
func WithEtcd(urls ...string) Option { return func(o *options) { o.etcd = urls } }

// WithTimeout bounds how long each engine may take; the default is one second. The kernel is not bounded: it answers.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithTool sets the name and version of the program that the snapshot says it was taken by.
func WithTool(s string) Option { return func(o *options) { o.tool = s } }

// WithDepth sets how much is read in each namespace.
func WithDepth(d Depth) Option { return func(o *options) { o.depth = d } }

// WithTraffic reads traffic control and BPF programs also where the depth is [Topology].
func WithTraffic() Option { return func(o *options) { o.traffic = true } }

// SelfOnly reads only the namespace that nscope runs in: nothing is entered and no capability is needed.
func SelfOnly() Option { return func(o *options) { o.selfOnly = true } }

// WithProgress calls f from time to time with how many namespaces of how many are read. It is called from several
// goroutines.
func WithProgress(f func(done, total int)) Option { return func(o *options) { o.progress = f } }

func newOptions(opts []Option) options {
	o := options{
		proc: "/proc", engines: true, timeout: time.Second, tool: "nscope", depth: Full,
		workers: max(2, runtime.GOMAXPROCS(0)), progress: func(int, int) {},
	}
	for _, f := range opts {
		f(&o)
	}
	return o
}
