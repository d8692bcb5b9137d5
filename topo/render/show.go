package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Show writes everything that is known of one node. Where the graph was built from snapshots that includes what is not
// in the graph itself: routes, rules, neighbours, sockets, sysctls and the rest. Long lists are folded unless
// [Options.Full]; routes of the local table, idle queues and connected sockets are left to [Options.Wide].
func Show(w io.Writer, g *topo.Graph, n *topo.Node, o Options) error {
	s := &shower{page: &page{o: o, g: o.glyphs()}, index: newIndex(g), g: g}
	if own := s.node[n.ID]; own != nil {
		n = own
	}
	switch n.Kind {
	case topo.KindNetns:
		s.netns(n)
	case topo.KindLink:
		s.link(n)
	case topo.KindContainer:
		s.container(n)
	case topo.KindNetwork:
		s.network(n)
	case topo.KindService:
		s.service(n)
	case topo.KindVTEP:
		s.vtep(n)
	default:
		return fmt.Errorf("show %s: unknown kind of node %q", n.ID, n.Kind)
	}
	_, err := io.WriteString(w, s.b.String())
	return err
}

type shower struct {
	*page
	*index
	g *topo.Graph
}

func where(n *topo.Node) string {
	if n.Host == "" {
		return ""
	}
	return "on " + n.Host
}

func (s *shower) container(n *topo.Node) {
	a := &n.Attrs
	s.title("container", nameOf(n), where(n))
	ns := s.homeOf[n.ID]
	list := []field{
		{"id", a.ContainerID}, {"engine", words(cmp.Or(a.EngineID, a.Engine), when(a.Source != "" && a.Source != "api", "(known from "+a.Source+")"))},
		{"image", a.Image}, {"state", a.State}, {"pid", number(a.PID)}, {"mode", a.Mode}, {"namespace", s.nsWords(ns)},
		{"sandbox", a.Sandbox}, {"networks", strings.Join(a.Networks, ", ")}, {"addresses", strings.Join(a.Addrs, ", ")},
		{"ports", strings.Join(s.page.o.ports(a.Ports), ", ")}, {"pod", a.Pod}, {"service", a.Service}, {"task", a.Task},
	}
	wl := s.g.Workload(n)
	if wl != nil {
		list = append(list, field{"hostname", wl.Hostname}, field{"sandbox id", wl.SandboxID}, field{"configured", wl.Mode},
			field{"dns", words(strings.Join(wl.DNS.Servers, ", "), list2("search", wl.DNS.Search), list2("options", wl.DNS.Options))})
	}
	s.fields(list...)
	if wl != nil {
		s.pairs("LABELS", wl.Labels)
		var rows [][]string
		for _, e := range wl.Endpoints {
			rows = append(rows, []string{cmp.Or(e.NetworkName, e.Network), words(addr(e.Addr), addr(e.Addr6)), words(addr(e.Gateway), addr(e.Gateway6)),
				e.MAC, e.Interface, strings.Join(e.Aliases, ", "), addrs(e.VIPs), e.ID})
		}
		s.table("ENDPOINTS", cols("NETWORK", "!ADDRESS", "GATEWAY", "MAC", "LINK", "ALIASES", "VIPS", "+ID"), rows)
	}
	s.publishedBy(n)
	if ns == nil {
		return
	}
	s.list("NAME SERVER", s.g.NameServer(n))
	if isHome(ns) {
		s.section("NAMESPACE")
		s.lines("It runs in the " + roleWord(ns) + "'s own namespace, " + nsName(ns) + ": see that for links and routes.")
		return
	}
	var others []string
	for _, c := range s.containers[ns.ID] {
		if c != n {
			others = append(others, words(nameOf(c), engineWord(c)))
		}
	}
	if len(others) > 0 {
		s.section("SHARES ITS NAMESPACE WITH")
		s.lines(others...)
	}
	s.namespace(ns)
}

func (s *shower) netns(n *topo.Node) {
	a := &n.Attrs
	s.title("namespace", nsName(n), where(n))
	list := []field{
		{"inode", number(int(a.Inode))}, {"role", roleWord(n)}, {"network", a.Network}, {"cookie", number(int(a.Cookie))},
		{"processes", number(a.Procs)}, {"paths", strings.Join(a.Paths, ", ")},
	}
	if raw := s.g.Namespace(n); raw != nil {
		list = append(list, field{"owner", when(raw.OwnerUserNS != 0, fmt.Sprintf("user namespace %d", raw.OwnerUserNS))})
	}
	s.fields(list...)
	var rows [][]string
	for _, c := range s.containers[n.ID] {
		rows = append(rows, []string{nameOf(c), c.Attrs.Engine, c.Attrs.State, c.Attrs.Image})
	}
	s.table("CONTAINERS", cols("~NAME", "ENGINE", "STATE", "IMAGE"), rows)
	s.holders(n)
	rows = nil
	for _, e := range s.edges(n.ID, topo.EdgeBalances) {
		rows = append(rows, []string{nameOf(s.node[e.To]), bareAddr(e.Attrs.Address), e.Attrs.Network, when(e.Attrs.Mark != 0, fmt.Sprintf("0x%x (%d)", e.Attrs.Mark, e.Attrs.Mark))})
	}
	s.table("BALANCES", cols("SERVICE", "VIP", "NETWORK", "MARK"), rows)
	s.virtuals(n)
	s.publishedBy(n)
	if len(s.containers[n.ID]) == 0 {
		s.list("NAME SERVER", s.g.NameServer(n))
	}
	s.namespace(n)
}

func (s *shower) holders(n *topo.Node) {
	raw := s.g.Namespace(n)
	if raw == nil {
		if len(n.Attrs.Holders) > 0 {
			s.section("HELD BY")
			s.lines(n.Attrs.Holders...)
		}
		return
	}
	var rows [][]string
	for _, h := range raw.Holders {
		rows = append(rows, []string{h.Kind, number(h.PID), number(h.TID), when(h.Kind == "fd" || h.Kind == "socket", strconv.Itoa(h.FD)), h.Comm,
			words(h.Path, when(h.Via != "", "nsid of "+h.Via.Short())), h.Cgroup, number(int(h.MountNS)), h.Root})
	}
	s.table("HELD BY", cols("KIND", ">PID", ">TID", ">FD", "COMMAND", "!PATH", "+CGROUP", "+>MOUNT NS", "+ROOT"), rows)
}

// publishedBy writes the published ports that lead to, or from, a container, service or namespace.
func (s *shower) publishedBy(n *topo.Node) {
	var rows [][]string
	for _, e := range append(s.edges(n.ID, topo.EdgePublishes), s.edgesTo(n.ID, topo.EdgePublishes)...) {
		a := &e.Attrs
		from, to := s.node[e.From], s.node[e.To]
		host := cmp.Or(a.HostAddr, "*")
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		port := strconv.Itoa(int(a.HostPort))
		if a.HostPortTo != 0 {
			port += "-" + strconv.Itoa(int(a.HostPortTo))
		}
		by := a.By
		if a.ProxyPID != 0 {
			by = strings.TrimPrefix(by+", proxy", "proxy, ") + fmt.Sprintf(" (pid %d)", a.ProxyPID)
		}
		hairpin, _ := s.g.Hairpin(e)
		row := []string{a.Proto, host + ":" + port, when(from != n, nameOf(from)), a.Address, number(int(a.TargetPort)), by, strings.Join(a.From, ", "), a.Rule, hairpin,
			when(to != n, nsName(to)), when(n.Host == "", to.Host), noteWord(a)}
		if !slices.ContainsFunc(rows, func(r []string) bool { return slices.Equal(r, row) }) {
			rows = append(rows, row)
		}
	}
	s.table("PUBLISHED PORTS", cols("PROTO", "!AT", "~TO", "ADDRESS", ">PORT", "BY", "FROM", "_RULE", "HAIRPIN", "IN", "HOST", "SOURCE"), rows)
	var chains []string
	for _, e := range append(s.edges(n.ID, topo.EdgePublishes), s.edgesTo(n.ID, topo.EdgePublishes)...) {
		if chain := s.g.ChainOf(e); len(chain) > 1 {
			to := " " + s.page.g.arrow + " "
			chains = append(chains, fmt.Sprintf("%d/%s of %s", e.Attrs.HostPort, e.Attrs.Proto, nsName(s.node[e.To]))+to+strings.Join(chain, to))
		}
	}
	s.list("THROUGH THE MESH", chains)
}

func (s *shower) nsWords(ns *topo.Node) string {
	if ns == nil {
		return ""
	}
	name := nsName(ns)
	if inode := inodeWord(ns); inode != "" && !strings.Contains(inode, name) {
		return name + " (" + inode + ")"
	}
	return name
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func list2(word string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return word + " " + strings.Join(list, ", ")
}
