package render

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

func (s *shower) network(n *topo.Node) {
	a := &n.Attrs
	s.title("network", nameOf(n), where(n))
	list := []field{
		{"id", a.NetworkID}, {"engine", cmp.Or(a.EngineID, a.Engine)}, {"driver", a.Driver}, {"scope", a.Scope},
		{"subnets", strings.Join(a.Subnets, ", ")}, {"gateways", strings.Join(a.Gateways, ", ")}, {"vni", strings.Join(vnis(a), ", ")},
	}
	raw := s.g.Network(n)
	is := []string{when(a.Internal, "internal"), when(a.Encrypted, "encrypted")}
	if raw != nil {
		is = append(is, when(raw.Attachable, "attachable"), when(raw.Ingress, "routing mesh"), when(raw.IPv6, "IPv6"))
		var ranges []string
		for _, sub := range raw.Subnets {
			if sub.IPRange.IsValid() {
				ranges = append(ranges, addr(sub.IPRange))
			}
		}
		list = append(list, field{"addresses from", strings.Join(ranges, ", ")}, field{"bridge", raw.Bridge}, field{"parent", raw.Parent})
	}
	list = append(list, field{"is", strings.Join(slices.DeleteFunc(is, func(w string) bool { return w == "" }), ", ")})
	s.fields(list...)
	if raw != nil {
		s.pairs("OPTIONS", raw.Options)
		s.pairs("LABELS", raw.Labels)
	}

	var rows [][]string
	for _, e := range s.edgesTo(n.ID, topo.EdgeCarries) {
		c := s.node[e.From]
		in := ""
		if ns := s.netnsOf[c.ID]; ns != nil {
			in = nsName(ns)
		}
		rows = append(rows, []string{string(c.Kind), nameOf(c), cmp.Or(c.Attrs.Type, c.Attrs.Role), in, c.Host, strings.Join(mainAddrs(c.Attrs.Addrs, false), ", "), claimWord(&e.Attrs)})
	}
	s.table("CARRIED BY", cols("KIND", "NAME", "TYPE", "IN", "HOST", "!ADDRESS", "SOURCE"), rows)
	s.list("TO THE OUTSIDE", s.g.Leaves(n))

	rows = nil
	for _, c := range s.members(n) {
		addr4, mac, link, alias := strings.Join(c.Attrs.Addrs, ", "), "", "", ""
		if w := s.g.Workload(c); w != nil {
			for _, e := range w.Endpoints {
				if e.Network == n.Attrs.NetworkID || e.Network == "" && e.NetworkName == n.Name {
					addr4, mac, link, alias = words(addr(e.Addr), addr(e.Addr6)), e.MAC, e.Interface, strings.Join(e.Aliases, ", ")
				}
			}
		}
		rows = append(rows, []string{nameOf(c), addr4, mac, link, c.Host, alias})
	}
	s.table("CONTAINERS", cols("~NAME", "!ADDRESS", "MAC", "LINK", "HOST", "ALIASES"), rows)

	rows = nil
	for i := range s.g.Edges {
		if e := &s.g.Edges[i]; e.Kind == topo.EdgeBalances && e.Attrs.Network == n.Name && s.node[e.To] != nil && s.node[e.From] != nil {
			rows = append(rows, []string{nameOf(s.node[e.To]), bareAddr(e.Attrs.Address), nsName(s.node[e.From]), s.node[e.From].Host,
				when(e.Attrs.Mark != 0, fmt.Sprintf("0x%x (%d)", e.Attrs.Mark, e.Attrs.Mark))})
		}
	}
	s.table("SERVICES", cols("NAME", "!VIP", "BALANCED IN", "HOST", "MARK"), rows)
	if raw != nil {
		rows = nil
		for _, p := range raw.Peers {
			rows = append(rows, []string{p.Name, addr(p.Addr)})
		}
		s.table("NODES", cols("NAME", "ADDRESS"), rows)
	}
}

// members are the containers on a network: those that the graph's raw data names, else those that name it.
func (s *shower) members(n *topo.Node) []*topo.Node {
	if list := s.g.Members(n); len(list) > 0 {
		return list
	}
	var list []*topo.Node
	s.each(topo.KindContainer, func(c *topo.Node) {
		if slices.Contains(c.Attrs.Networks, n.Name) && (n.Host == "" || n.Host == c.Host) {
			list = append(list, c)
		}
	})
	return list
}

func (s *shower) service(n *topo.Node) {
	a := &n.Attrs
	s.title("service", nameOf(n), where(n))
	list := []field{
		{"id", a.ServiceID}, {"engine", cmp.Or(a.EngineID, a.Engine)}, {"endpoint mode", a.EndpointMode}, {"VIPs", strings.Join(a.VIPs, ", ")},
		{"ports", strings.Join(s.page.o.ports(a.Ports), ", ")}, {"replicas", number(int(min(a.Replicas, 1<<31)))},
		{"mark", when(a.Mark != 0, fmt.Sprintf("0x%x (%d)", a.Mark, a.Mark))},
	}
	raw := s.g.Service(n)
	if raw != nil {
		list = append(list, field{"mode", raw.Mode}, field{"image", raw.Image})
	}
	s.fields(list...)
	if raw != nil {
		s.pairs("LABELS", raw.Labels)
	}
	var rows [][]string
	for _, e := range s.edgesTo(n.ID, topo.EdgeBalances) {
		ns := s.node[e.From]
		rows = append(rows, []string{nsName(ns), roleWord(ns), ns.Host, bareAddr(e.Attrs.Address), e.Attrs.Network, when(e.Attrs.Mark != 0, fmt.Sprintf("0x%x (%d)", e.Attrs.Mark, e.Attrs.Mark)),
			cmp.Or(when(e.Attrs.Scheduler != "", "IPVS "+e.Attrs.Scheduler), strings.ToUpper(e.Attrs.By)), strings.Join(e.Attrs.From, ", "), e.Attrs.Rule, e.Attrs.Note})
	}
	s.table("BALANCED IN", cols("NAMESPACE", "ROLE", "HOST", "!VIP", "NETWORK", "MARK", "BY", "FROM", "RULE", "NOTE"), rows)
	rows = nil
	virtual := false
	for _, b := range s.g.Balancers(n) {
		for i := range b.Members {
			m := &b.Members[i]
			weight, active := fmt.Sprint(m.Weight), fmt.Sprint(m.Active)
			if m.Method == "" { // only the engine has it
				weight, active = "", ""
			}
			name, node := m.Task, m.Node
			if m.Container != nil {
				name, node = shortTask(m.Container.Name), m.Container.Host
			}
			at := m.Addr.String()
			if m.Port != 0 {
				at = netip.AddrPortFrom(m.Addr, m.Port).String()
			}
			rows = append(rows, []string{nsName(b.Netns), b.Netns.Host, at, name, node, weight, when(m.Share != 0, fmt.Sprintf("%.0f%%", m.Share*100)), active, m.Method, m.Note})
			virtual = virtual || b.By != ""
		}
	}
	s.table("MEMBERS", cols("IN", "HOST", "!ADDRESS", "~TASK", "NODE", ">WEIGHT", ">SHARE", ">CONNECTIONS", "METHOD", "NOTE"), rows)
	rows = nil
	for _, e := range s.edges(n.ID, topo.EdgeBackend) {
		if virtual {
			break // the members are all
		}
		name, host := "", ""
		if c := s.node[e.To]; c != nil {
			name, host = nameOf(c), c.Host
		}
		rows = append(rows, []string{cmp.Or(e.Attrs.Address, when(name == "", e.To)), name, host, number(e.Attrs.Weight), e.Attrs.Network, noteWord(&e.Attrs)})
	}
	s.table("BACKENDS", cols("!ADDRESS", "~CONTAINER", "HOST", ">WEIGHT", "NETWORK", "SOURCE"), rows)
	if raw != nil {
		rows = nil
		for _, t := range raw.Tasks {
			var at []string
			for _, x := range t.Addrs {
				at = append(at, addr(x.Addr))
			}
			rows = append(rows, []string{t.Name, cmp.Or(t.NodeName, t.NodeID), t.State, when(t.Desired != t.State, t.Desired), strings.Join(at, ", "), t.ID})
		}
		s.table("TASKS", cols("~NAME", "NODE", "!STATE", "WANTED", "ADDRESS", "+ID"), rows)
	}
	s.publishedBy(n)
}

func (s *shower) vtep(n *topo.Node) {
	s.title("tunnel end", nameOf(n), "")
	s.fields(field{"address", n.Attrs.Address}, field{"node", n.Attrs.Node}, field{"inspected", "no: a snapshot of that host would show it"})
	s.tunnelTable("TUNNELS TO IT", s.edgesTo(n.ID, topo.EdgeTunnel), func(e *topo.Edge) *topo.Node { return s.node[e.From] })
}

// tunnelTable writes tunnels with whatever is at their other end.
func (s *shower) tunnelTable(title string, edges []*topo.Edge, end func(*topo.Edge) *topo.Node) {
	var rows [][]string
	for _, e := range edges {
		l := end(e)
		in := ""
		if ns := s.netnsOf[l.ID]; ns != nil {
			in = nsName(ns)
		}
		vni := e.Attrs.VNI
		rows = append(rows, []string{nameOf(l), in, cmp.Or(l.Host, l.Attrs.Node), cmp.Or(e.Attrs.Address, l.Attrs.Address), number(int(cmp.Or(vni, l.Attrs.VNI))),
			number(int(e.Attrs.Port)), strings.Join(e.Attrs.MACs, ", ")})
	}
	s.table(title, cols("LINK", "IN", "HOST", "!ADDRESS", ">VNI", ">PORT", "MACS"), rows)
}

func vnis(a *topo.NodeAttrs) []string {
	var r []string
	for _, v := range a.VNIs {
		r = append(r, fmt.Sprint(v))
	}
	if len(r) == 0 && a.VNI != 0 {
		r = append(r, fmt.Sprint(a.VNI))
	}
	return r
}

// addr writes an address or prefix, nothing for the zero one.
func addr[T interface {
	IsValid() bool
	String() string
}](a T) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func addrs(list []netip.Addr) string {
	var r []string
	for _, a := range list {
		r = append(r, addr(a))
	}
	return strings.Join(r, ", ")
}
