package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/probe"
	"github.com/nscope/nscope/topo"
)

// scene is what the probes of one command line are run on: the graph, and the namespaces that were opened.
type scene struct {
	a      *app
	g      *topo.Graph // nil where the host could not be read, which FROM did not need
	why    error       // why it could not be
	full   bool        // sockets were read too
	open   opener
	spaces map[snapshot.NSID]*netns.Handle
	extra  []*netns.Handle
}

// asker is one place that is asked from.
type asker struct {
	from *probe.From
	node *topo.Node // what FROM names, nil where the graph does not have it
}

// setScene reads the host. What needs none of it to be entered (self, pid:, path:) goes on without.
func (a *app) setScene(ctx context.Context, depth inspect.Depth, optional bool) (*scene, error) {
	s := &scene{a: a, open: a.opener(), spaces: map[snapshot.NSID]*netns.Handle{}, full: depth == inspect.Full}
	snaps, err := a.snapshots(ctx, inspect.WithDepth(depth))
	switch {
	case err == nil:
		s.g = topo.Build(snaps...)
		if a.verbose {
			a.tellGaps(s.g.Gaps)
		}
	case !optional || ctx.Err() != nil:
		return nil, err
	default:
		s.why = err
		if a.verbose {
			fmt.Fprintf(a.err, "nscope: note: no names: %s\n", oneLine(err.Error()))
		}
	}
	return s, nil
}

func (s *scene) close() {
	for _, h := range s.spaces {
		h.Close()
	}
	for _, h := range s.extra {
		h.Close()
	}
}

// handle opens a namespace, once.
func (s *scene) handle(ctx context.Context, id snapshot.NSID, name string) (*netns.Handle, error) {
	if h := s.spaces[id]; h != nil {
		return h, nil
	}
	h, err := s.open.Open(ctx, id, name)
	if err == nil {
		s.spaces[id] = h
	}
	return h, err
}

// direct tells targets that are opened without reading the host.
func direct(target string) bool {
	return target == "self" || strings.HasPrefix(target, "pid:") || strings.HasPrefix(target, "path:")
}

// askers opens what FROM means; group is set where that may be several.
func (s *scene) askers(ctx context.Context, target string) (out []asker, group bool, err error) {
	if e, ok, err := s.a.enterDirect(target); ok {
		if err != nil {
			return nil, false, err
		}
		s.extra = append(s.extra, e.handle)
		from := &probe.From{Name: target, NS: e.handle, PID: e.pid, Proc: s.a.proc}
		if target == "self" {
			from.Proc = "/proc" // nscope's own pid means nothing in another one
		}
		n := s.nodeOf(e.handle.ID())
		if from.PID == 0 && n != nil && len(n.Attrs.PIDs) > 0 {
			from.PID = n.Attrs.PIDs[0]
		}
		k := asker{from, n}
		if target != "self" && n != nil && (n.Attrs.Role != topo.RoleOther || s.container(k) != n) {
			from.Name = s.g.TargetOf(s.container(k)) // what people call it
		}
		return []asker{k}, false, nil
	}
	var nodes []*topo.Node
	if group = topo.IsGroup(target); !group {
		l, err := s.resolve(target)
		if err != nil {
			return nil, false, err
		}
		nodes = []*topo.Node{l}
		group = l.Kind == topo.KindNetwork || l.Kind == topo.KindService
	}
	if group {
		if nodes, err = s.g.Group(target); err != nil {
			return nil, true, s.missing(target, err)
		}
	}
	for _, n := range nodes {
		k, err := s.asker(ctx, n)
		if err != nil {
			return nil, group, err
		}
		out = append(out, k)
	}
	return out, group, nil
}

// resolve finds a TARGET; what is not found may just not be seen.
func (s *scene) resolve(target string) (*topo.Node, error) {
	if n, err := s.opened(target); n != nil || err != nil {
		return n, err
	}
	n, err := s.g.Resolve(target)
	return n, s.missing(target, err)
}

// opened finds what "self", "pid:" or "path:" leads to, whatever path it is; nil for other targets and for what the graph
// does not have.
func (s *scene) opened(target string) (*topo.Node, error) {
	e, ok, err := s.a.enterDirect(target)
	if !ok {
		return nil, nil
	}
	if err != nil { // a path may be one of another mount namespace, which only the graph knows
		if n, err := s.g.Resolve(target); err == nil {
			return n, nil
		}
		return nil, err
	}
	defer e.handle.Close()
	return s.container(asker{node: s.nodeOf(e.handle.ID())}), nil
}

// missing is the error of a target that was not found, or may just not be seen.
func (s *scene) missing(target string, err error) error {
	var missing *topo.NotFoundError
	var empty *topo.NoMemberError
	switch {
	case (errors.As(err, &missing) || errors.As(err, &empty)) && closed(s.g):
		return netns.Denied(strconv.Quote(target), fs.ErrPermission)
	case errors.As(err, &empty):
		return &usageError{err}
	}
	return err
}

// asker opens the namespace of a node.
func (s *scene) asker(ctx context.Context, n *topo.Node) (asker, error) {
	l, err := locate(s.g, n)
	if err != nil {
		return asker{}, err
	}
	h, err := s.handle(ctx, l.id, l.name)
	if err != nil {
		return asker{}, err
	}
	return asker{&probe.From{Name: s.g.TargetOf(n), NS: h, PID: l.pid, Proc: s.a.proc}, n}, nil
}

// nodeOf is the node of an open namespace.
func (s *scene) nodeOf(id snapshot.NSID) *topo.Node {
	if s.g == nil {
		return nil
	}
	for i := range s.g.Nodes {
		n := &s.g.Nodes[i]
		if n.Kind != topo.KindNetns {
			continue
		}
		if raw := s.g.Namespace(n); raw != nil && raw.ID == id {
			return n
		}
	}
	return nil
}

// container is the one that runs in the asker's namespace, or what FROM names.
func (s *scene) container(k asker) *topo.Node {
	if k.node == nil || k.node.Kind == topo.KindContainer {
		return k.node
	}
	if ns, ok := s.g.Netns(k.node); ok && ns.Attrs.Role == topo.RoleContainer {
		for _, e := range s.g.In(ns.ID, topo.EdgeRunsIn) {
			if c, ok := s.g.Node(e.From); ok {
				return c
			}
		}
	}
	return k.node
}

// upstream tells the asker what is known of its engine's embedded name server.
func (s *scene) upstream(ctx context.Context, k asker) {
	c := s.container(k)
	if c == nil {
		return
	}
	w, snap := s.g.Workload(c), s.g.Snapshot(c)
	if w == nil || snap == nil {
		return
	}
	for _, text := range w.DNS.Servers {
		if a, err := netip.ParseAddr(text); err == nil {
			k.from.Upstreams = append(k.from.Upstreams, netip.AddrPortFrom(a, 53))
		}
	}
	for _, e := range snap.Host.Engines {
		if e.ID == w.Engine && e.Home != "" && e.Home != k.from.NS.ID() {
			// Without it the probe says less; that it could not be opened is no failure.
			if h, err := s.handle(ctx, e.Home, "engine "+e.ID); err == nil {
				k.from.UpstreamNS = h
			}
		}
	}
}

// links are what the graph knows of the links of a node's namespace.
func (s *scene) links(n *topo.Node) []probe.LinkInfo {
	if n == nil {
		return nil
	}
	ns, ok := s.g.Netns(n)
	if !ok {
		return nil
	}
	var out []probe.LinkInfo
	for _, e := range s.g.In(ns.ID, topo.EdgeIn) {
		l, ok := s.g.Node(e.From)
		if !ok || l.Attrs.Type == "loopback" {
			continue
		}
		i := probe.LinkInfo{Index: l.Attrs.Ifindex, Name: s.linkName(l), MAC: l.Attrs.MAC, MTU: l.Attrs.MTU}
		for _, text := range l.Attrs.Addrs {
			if p, err := netip.ParsePrefix(text); err == nil {
				i.Addrs = append(i.Addrs, p.Addr())
			}
		}
		if p := s.g.Peer(l); p != nil {
			i.Peer, i.PeerMTU = s.linkName(p), p.Attrs.MTU
		}
		out = append(out, i)
	}
	return out
}

// linkName is "eth0 of web".
func (s *scene) linkName(l *topo.Node) string {
	ns, ok := s.g.Netns(l)
	if !ok {
		return l.Name
	}
	return l.Name + " of " + ns.Name
}

// target makes of TO what a probe is asked for from one place.
func (s *scene) target(ctx context.Context, d dest, n *topo.Node, k asker) (probe.To, error) {
	to := probe.To{Asked: d.asked, Port: d.port}
	switch {
	case d.addr.IsValid():
		a, err := scoped(d.addr, k.from)
		if err != nil {
			return to, err
		}
		to.Addrs = []netip.Addr{a}
		if s.g != nil && k.node != nil {
			to.Name = s.g.WhoHas(k.node, d.addr)
		}
		return to, nil
	case n == nil && !d.bare && !d.named && s.why == nil:
		return to, usagef("nothing is known of %s", d.host)
	case n == nil && !d.bare && !d.named:
		return to, fmt.Errorf("cannot tell what %s is: %w", d.host, s.why)
	case n == nil:
		to.Host = d.host
		return to, nil
	}
	to.Name = s.g.TargetOf(n)
	if k.node != nil {
		to.Addrs = s.g.AddrsFor(k.node, n)
		to.Names = s.g.NamesFor(s.container(k), n)
	}
	if len(to.Addrs) == 0 {
		if n.Kind != topo.KindService && n.Kind != topo.KindNetwork {
			if _, err := locate(s.g, n); err != nil {
				return to, err
			}
		}
		if closed(s.g) {
			return to, netns.Denied(strconv.Quote(to.Name), fs.ErrPermission)
		}
		if n.Kind == topo.KindNetwork {
			return to, usagef("%s is a network, which has no address: name one of its members", to.Name)
		}
		return to, fmt.Errorf("%s has no address by which %s could ask it", to.Name, k.from.Name)
	}
	for _, p := range s.g.PortsOf(n) {
		to.Ports = append(to.Ports, probe.Port{Port: p.Port, Listening: p.Listening, Why: p.Why})
	}
	ns, ok := s.g.Netns(n)
	to.PortsKnown = s.full && ok && s.g.Namespace(ns) != nil && (ns.Attrs.Role == topo.RoleContainer || n.Kind != topo.KindContainer) && !s.gap(s.g.Namespace(ns).ID, "sockets")
	to.Links = s.links(n)
	return to, nil
}

// gap tells whether a reader failed in a namespace.
func (s *scene) gap(id snapshot.NSID, reader string) bool {
	return slices.ContainsFunc(s.g.Gaps, func(x topo.Gap) bool {
		return (x.Namespace == id || x.Namespace == "") && strings.Contains(x.Reader, reader)
	})
}

// scoped puts the index of the interface into the zone of an address, as FROM has it.
func scoped(a netip.Addr, from *probe.From) (netip.Addr, error) {
	zone := a.Zone()
	if zone == "" {
		return a.Unmap(), nil
	}
	if n, err := strconv.Atoi(zone); err == nil && n > 0 {
		return a, nil
	}
	index := 0
	err := from.NS.Do(func() error {
		i, err := net.InterfaceByName(zone)
		if err == nil {
			index = i.Index
		}
		return err
	})
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrPermission) {
			return a, err
		}
		return a, usagef("%s has no interface %q", from.Name, zone)
	}
	return a.WithZone(strconv.Itoa(index)), nil
}
