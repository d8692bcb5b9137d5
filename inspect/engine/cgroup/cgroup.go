package cgroup

import (
	"context"
	"regexp"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family is the last resort: what it finds counts only where nobody else knows the container.
type Family struct{}

type reader struct{}

// Find returns one engine for all.
func (Family) Find(*host.View) []host.Engine { return []host.Engine{reader{}} }

// Container is what a cgroup path tells.
type Container struct {
	// ID is 64 hexadecimal digits, or for a machine (LXC, systemd-nspawn, libvirt) its name.
	ID, Name string
	// Maker is docker, podman, crio, containerd, lxc or machine, "" where the path does not tell.
	Maker  string
	PodUID string
}

var (
	// A container's folder: docker-<id>.scope, /docker/<id>, libpod-<id>.scope, crio-<id>.scope, cri-containerd-<id>.scope, or a
	// bare id below kubepods (cgroupfs).
	idPart = regexp.MustCompile(`^(?:([a-z-]+)-)?([0-9a-f]{64})(?:\.scope)?$`)
	// A pod's folder: pod<uid> (cgroupfs) or kubepods-burstable-pod<uid with _ for ->.slice.
	podPart = regexp.MustCompile(`(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?:\.slice)?$`)
	lxcPart = regexp.MustCompile(`^lxc\.payload\.(.+)$`)
	// systemd's escapes (\x2d) are left as they are: systemctl prints them, too.
	machinePart = regexp.MustCompile(`^machine-(.+)\.scope$`)
)

var makers = map[string]string{
	"docker": "docker", "libpod": "podman", "crio": "crio", "cri-containerd": "containerd", "nerdctl": "containerd",
}

// Parse finds the innermost container in a cgroup path.
func Parse(path string) (Container, bool) {
	var c Container
	ok := false
	parts := strings.Split(path, "/")
	pod := ""
	for i, part := range parts {
		if m := podPart.FindStringSubmatch(part); m != nil {
			pod = strings.ReplaceAll(m[1], "_", "-")
		}
		// A monitor is not in the container that it watches.
		if strings.Contains(part, "conmon-") {
			continue
		}
		if m := idPart.FindStringSubmatch(part); m != nil {
			c, ok = Container{ID: m[2], Name: m[2][:12], Maker: makers[m[1]], PodUID: pod}, true
			if m[1] == "" && i > 0 && parts[i-1] == "docker" {
				c.Maker = "docker"
			}
		} else if m := lxcPart.FindStringSubmatch(part); m != nil {
			c, ok = Container{ID: m[1], Name: m[1], Maker: "lxc"}, true
		} else if m := machinePart.FindStringSubmatch(part); m != nil {
			c, ok = Container{ID: m[1], Name: m[1], Maker: "machine"}, true
		}
	}
	return c, ok
}

// Read goes through the processes: the first of each container that has a network namespace of its own.
func (reader) Read(_ context.Context, v *host.View) host.Answer {
	type group struct {
		c Container
		p *netns.Process
	}
	found := map[string]*group{}
	var order []string
	for i := range v.Table.All {
		p := &v.Table.All[i]
		c, ok := Parse(p.Cgroup)
		if !ok || p.NetNS == "" || p.NetNS == v.HostNS || v.Homes[p.NetNS] {
			continue
		}
		// The container's first process is the one whose parent is not in it.
		if parent := v.Table.Get(p.PPID); parent != nil && parent.NetNS == p.NetNS {
			if pc, ok := Parse(parent.Cgroup); ok && pc.ID == c.ID {
				continue
			}
		}
		if found[c.ID] == nil {
			found[c.ID] = &group{c, p}
			order = append(order, c.ID)
		}
	}
	if len(found) == 0 {
		return host.Answer{}
	}
	a := host.Answer{Engine: &snapshot.Engine{Kind: "cgroup", Source: "cgroup"}}
	for _, id := range order {
		g := found[id]
		w := snapshot.Workload{
			ID: g.c.ID, Name: g.c.Name, State: "running", PID: g.p.PID, Namespace: g.p.NetNS, Labels: map[string]string{},
			Endpoints: []snapshot.Endpoint{}, Ports: []snapshot.Port{}, Source: "cgroup",
			DNS: snapshot.DNS{Servers: []string{}, Search: []string{}, Options: []string{}},
		}
		if g.c.Maker != "" {
			w.Labels["nscope/maker"] = g.c.Maker
		}
		if g.c.PodUID != "" {
			w.Pod = &snapshot.Pod{UID: g.c.PodUID}
		}
		a.Workloads = append(a.Workloads, w)
	}
	return a
}
