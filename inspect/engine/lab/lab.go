package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/labfile"
)

// Kind is what the engines of labs are called.
const Kind = "nscope"

// maxFile bounds a lab's file: the largest mode's has some 10 KiB.
const maxFile = 1 << 20

// Holds tells whether a process holds a namespace of a lab: the host's listens on published ports.
func Holds(p netns.Process) bool { return len(p.Args) > 2 && p.Args[1] == labfile.HolderCommand }

// Family finds labs.
type Family struct{}

// Find returns an engine for each host of each lab. A folder that is seen from several mount namespaces is read once.
func (Family) Find(v *host.View) []host.Engine {
	var engines []host.Engine
	met := map[[2]uint64]bool{}
	for _, place := range v.Places {
		info, err := place.Root.Stat(labfile.Dir)
		if err != nil || met[[2]uint64{info.Dev, info.Ino}] {
			continue
		}
		met[[2]uint64{info.Dev, info.Ino}] = true
		names, err := place.Root.ReadDir(labfile.Dir)
		if err != nil {
			engines = append(engines, failed{host.Needs(err), err})
			continue
		}
		for _, file := range names {
			if strings.HasSuffix(file, ".json") {
				engines = append(engines, read(v, place, file)...)
			}
		}
	}
	return engines
}

// read reads one lab.
func read(v *host.View, place host.Place, file string) []host.Engine {
	b, err := place.Root.ReadFile(path.Join(labfile.Dir, file), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken away since the folder was read
	}
	if err != nil {
		return []host.Engine{failed{host.Needs(err), err}}
	}
	l, err := parse(strings.TrimSuffix(file, ".json"), b)
	if err != nil {
		return []host.Engine{failed{"", fmt.Errorf("%s: %w", place.Root.Path(path.Join(labfile.Dir, file)), err)}}
	}
	found := &lab{Lab: *l, place: place, procs: map[string][]*netns.Process{}}
	for _, p := range v.Table.All {
		if len(p.Args) > 2 && p.Args[1] == labfile.HolderCommand {
			found.procs[p.Args[2]] = append(found.procs[p.Args[2]], v.Table.Get(p.PID))
		}
	}
	var engines []host.Engine
	for i := range found.Spaces {
		if s := &found.Spaces[i]; s.Role == labfile.RoleHost && s.Shares == "" {
			engines = append(engines, &engine{lab: found, host: s})
		}
	}
	return engines
}

// parse reads a lab's file, whose name must be the lab's, as must be those of its namespaces.
func parse(name string, b []byte) (*labfile.Lab, error) {
	var l labfile.Lab
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("not a lab's file: %w", err)
	}
	if l.Name != name {
		return nil, fmt.Errorf("it says that it is of lab %q", l.Name)
	}
	if l.Engine != "" {
		l.Spaces = nil // an engine made it, and tells of it itself
	}
	seen := map[string]bool{}
	for _, s := range l.Spaces {
		if s.Name == "" || strings.ContainsAny(s.Name, "/@#") || seen[s.Name] || s.Shares == "" && s.Full != labfile.Full(name, s.Name) {
			return nil, fmt.Errorf("a namespace cannot be called %q, %q", s.Name, s.Full)
		}
		seen[s.Name] = true
	}
	return &l, nil
}

// failed is what could not be read.
type failed struct {
	needs string
	err   error
}

func (f failed) Read(context.Context, *host.View) host.Answer {
	return host.Answer{Gaps: []snapshot.Gap{{Reader: "labs", Error: f.err.Error(), Needs: f.needs}}}
}

// lab is one lab.
type lab struct {
	labfile.Lab
	place host.Place
	procs map[string][]*netns.Process // by the second argument of HolderCommand
}

func (l *lab) space(name string) *labfile.Space {
	if i := slices.IndexFunc(l.Spaces, func(s labfile.Space) bool { return s.Name == name }); i >= 0 {
		return &l.Spaces[i]
	}
	return nil
}

// id is a space's id: its own name for all to see, which a space that shares a namespace has too.
func (l *lab) id(s *labfile.Space) string { return labfile.Full(l.Name, s.Name) }

// namespace is the one that a space is in, "" where it is not there.
func (l *lab) namespace(v *host.View, s *labfile.Space) snapshot.NSID {
	if s.Full != path.Base(s.Full) {
		return ""
	}
	return v.Netns(l.place.Root, path.Join(labfile.NetnsDir, s.Full))
}

// process is a space's process: called as the lab called it, and in its namespace. nil for none.
func (l *lab) process(v *host.View, s *labfile.Space) *netns.Process {
	ns := l.namespace(v, s)
	for _, p := range l.procs[l.id(s)] {
		if p.NetNS == ns && ns != "" {
			return p
		}
	}
	return nil
}

// engine is one host of a lab.
type engine struct {
	lab  *lab
	host *labfile.Space
}

// Read says what the lab says of the host.
func (e *engine) Read(_ context.Context, v *host.View) host.Answer {
	l, h := e.lab, e.host
	a := host.Answer{Identity: l.id(h)}
	eng := &snapshot.Engine{Kind: Kind, Name: l.id(h), Root: l.place.Root.Prefix, StateDir: labfile.Dir, Source: "state", Home: l.namespace(v, h)}
	if eng.Home == "" {
		if l.Ready {
			return host.Answer{Gaps: []snapshot.Gap{{Reader: "labs", Error: fmt.Sprintf("lab %s: its host %s is gone", l.Name, h.Full), Needs: "nscope lab down " + l.Name}}}
		}
		return host.Answer{}
	}
	if p := l.process(v, h); p != nil {
		eng.PID = p.PID
	}
	eng.Swarm = l.swarm(h)
	a.Engine = eng
	for i := range l.Networks {
		if n := &l.Networks[i]; slices.Contains(n.Hosts, h.Name) {
			a.Networks = append(a.Networks, l.network(n))
		}
	}
	for i := range l.Spaces {
		if s := &l.Spaces[i]; s.Role == labfile.RoleContainer && s.Host == h.Name {
			a.Workloads = append(a.Workloads, l.workload(v, s))
		}
	}
	if h.Addr.IsValid() {
		for i := range l.Services {
			a.Services = append(a.Services, l.service(&l.Services[i]))
		}
	}
	return a
}

// swarm is the host's membership, nil where the lab has no swarm.
func (l *lab) swarm(h *labfile.Space) *snapshot.Swarm {
	if !h.Addr.IsValid() {
		return nil
	}
	s := &snapshot.Swarm{NodeID: l.id(h), NodeAddr: h.Addr.String(), Manager: true, State: "active", Nodes: []snapshot.SwarmNode{}}
	for i := range l.Spaces {
		if n := &l.Spaces[i]; n.Role == labfile.RoleHost && n.Addr.IsValid() {
			s.Nodes = append(s.Nodes, snapshot.SwarmNode{ID: l.id(n), Name: l.id(n), Addr: n.Addr.String(), Role: "manager", State: "ready"})
		}
	}
	return s
}

func (l *lab) network(n *labfile.Network) snapshot.Network {
	out := snapshot.Network{
		ID: n.ID, Name: n.Name, Driver: n.Driver, Scope: "local", Bridge: n.Bridge, Parent: n.Parent, Ingress: n.Ingress, Encrypted: n.Encrypted,
		Subnets: []snapshot.Subnet{}, VNIs: []uint32{}, Options: map[string]string{}, Labels: map[string]string{}, Peers: []snapshot.NetworkPeer{}, Source: "state",
	}
	if n.Driver == "overlay" {
		out.Scope = "swarm"
	}
	if n.Default {
		out.Options["com.docker.network.bridge.default_bridge"] = "true"
	}
	if n.VNI != 0 {
		out.VNIs = append(out.VNIs, n.VNI)
	}
	for _, s := range n.Subnets {
		sub := snapshot.Subnet{Subnet: s}
		if s.Contains(n.Gateway) {
			sub.Gateway = n.Gateway
		}
		out.Subnets = append(out.Subnets, sub)
	}
	return out
}

func (l *lab) workload(v *host.View, s *labfile.Space) snapshot.Workload {
	w := snapshot.Workload{
		ID: l.id(s), Name: s.Name, State: "exited", Mode: s.Network, Service: s.Service, Source: "state",
		Labels: map[string]string{"nscope/lab": l.Name}, Endpoints: []snapshot.Endpoint{}, Ports: []snapshot.Port{},
		DNS: snapshot.DNS{Servers: []string{}, Search: []string{}, Options: []string{}},
	}
	if p := l.process(v, s); p != nil {
		w.State, w.PID, w.Namespace = "running", p.PID, p.NetNS
	}
	if s.Shares == "" {
		w.SandboxKey = path.Join(labfile.NetnsDir, s.Full)
	}
	if s.Service != "" {
		w.Task = w.ID
	}
	if s.Pod != "" {
		w.Mode, w.Pod = "pod", &snapshot.Pod{Name: s.Pod, SandboxID: labfile.Full(l.Name, s.Pod), Sandbox: s.Pod == s.Name}
	} else if other, ok := strings.CutPrefix(s.Network, "container:"); ok {
		w.Mode = "container:" + labfile.Full(l.Name, other)
	}
	for _, ep := range s.Endpoints {
		name := ep.Network
		for i := range l.Networks {
			if l.Networks[i].ID == ep.Network {
				name = l.Networks[i].Name
			}
		}
		w.Endpoints = append(w.Endpoints, snapshot.Endpoint{
			Network: ep.Network, NetworkName: name, Addr: ep.Addr, MAC: ep.MAC, Interface: ep.Link, Aliases: append([]string{}, ep.Aliases...),
		})
	}
	w.Ports = append(w.Ports, ports(s.Ports)...)
	return w
}

func ports(list []labfile.Port) []snapshot.Port {
	out := []snapshot.Port{}
	for _, p := range list {
		out = append(out, snapshot.Port{Proto: p.Proto, HostAddr: p.Addr, HostPort: p.Host, Port: p.Port, Mode: p.Mode})
	}
	return out
}

func (l *lab) service(s *labfile.Service) snapshot.Service {
	out := snapshot.Service{
		ID: s.ID, Name: s.Name, Mode: "replicated", EndpointMode: "dnsrr", VIPs: []snapshot.VIP{}, Ports: ports(s.Ports), Tasks: []snapshot.Task{},
		Networks: []string{}, Labels: map[string]string{}, Source: "state",
	}
	for _, vip := range s.VIPs {
		addr, err := vip.Addr.Prefix(vip.Addr.BitLen())
		if err != nil {
			continue
		}
		out.EndpointMode = "vip"
		out.VIPs = append(out.VIPs, snapshot.VIP{Network: vip.Network, Addr: addr})
	}
	for i := range l.Spaces {
		t := &l.Spaces[i]
		if t.Service != s.ID {
			continue
		}
		out.Replicas++
		task := snapshot.Task{ID: l.id(t), Name: t.Name, State: "running", Desired: "running", Workload: l.id(t), Addrs: []snapshot.TaskAddr{}}
		if n := l.space(t.Host); n != nil {
			task.NodeID, task.NodeName = l.id(n), l.id(n)
		}
		for _, ep := range t.Endpoints {
			task.Addrs = append(task.Addrs, snapshot.TaskAddr{Network: ep.Network, Addr: ep.Addr})
			if !slices.Contains(out.Networks, ep.Network) {
				out.Networks = append(out.Networks, ep.Network)
			}
		}
		out.Tasks = append(out.Tasks, task)
	}
	slices.Sort(out.Networks)
	return out
}
