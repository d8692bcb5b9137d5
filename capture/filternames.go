package capture

import (
	"net/netip"
	"slices"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/topo"
)

// FilterNames answers a filter's names by a graph: the id of a container is its namespace's node id, as [Session] gives it in Meta.Workload.
func FilterNames(g *topo.Graph) filter.Names { return filterNames{g} }

type filterNames struct{ g *topo.Graph }

func (n filterNames) resolve(target string, kinds ...topo.Kind) (*topo.Node, error) {
	x, err := n.g.Resolve(target)
	if err != nil {
		return nil, err
	}
	if len(kinds) > 0 && !slices.Contains(kinds, x.Kind) {
		return nil, &topo.NotFoundError{Target: target}
	}
	return x, nil
}

func (n filterNames) addrs(x *topo.Node) (out []netip.Addr) {
	add := func(p netip.Prefix) {
		if a := p.Addr(); a.IsValid() && !a.IsLoopback() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	ns, ok := n.g.Netns(x)
	if ok && n.g.Namespace(ns) != nil {
		for _, l := range n.g.Namespace(ns).Links {
			for _, a := range l.Addrs {
				add(a.Prefix)
			}
		}
	}
	if s := n.g.Service(x); s != nil {
		for _, v := range s.VIPs {
			add(v.Addr)
		}
		for _, m := range n.g.Members(x) {
			for _, a := range n.addrs(m) {
				if !slices.Contains(out, a) {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

func (n filterNames) Host(name string) ([]netip.Addr, error) {
	x, err := n.resolve(name)
	if err != nil {
		return nil, err
	}
	return n.addrs(x), nil
}

func (n filterNames) Container(name string) (string, []netip.Addr, error) {
	x, err := n.resolve("container:"+name, topo.KindContainer)
	if err != nil {
		return "", nil, err
	}
	id := ""
	if ns, ok := n.g.Netns(x); ok && ns.Attrs.Role == topo.RoleContainer {
		id = ns.ID
	}
	return id, n.addrs(x), nil
}

func (n filterNames) Service(name string) ([]netip.Addr, error) {
	x, err := n.resolve("service:"+name, topo.KindService)
	if err != nil {
		return nil, err
	}
	return n.addrs(x), nil
}
