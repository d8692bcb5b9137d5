package render

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// namespace writes the sections of what is in a namespace.
func (s *shower) namespace(ns *topo.Node) {
	var rows [][]string
	var wires []string
	for _, l := range s.links[ns.ID] {
		rows = append(rows, []string{strconv.Itoa(l.Attrs.Ifindex), nameOf(l), cmp.Or(l.Attrs.Type, "device"), l.Attrs.State, number(l.Attrs.MTU), l.Attrs.MAC,
			strings.Join(mainAddrs(l.Attrs.Addrs, false), ", ")})
		if w := s.wire(l); w != "" {
			wires = append(wires, nameOf(l)+" "+s.page.g.wire+" "+w)
		}
		for _, e := range s.edges(l.ID, topo.EdgeTunnel) {
			to := s.node[e.To]
			wires = append(wires, nameOf(l)+" "+s.page.g.arrow+" "+words("tunnel to", cmp.Or(to.Attrs.Node, to.Host), cmp.Or(e.Attrs.Address, to.Attrs.Address)))
		}
		if u := s.under(l); u != "" {
			wires = append(wires, nameOf(l)+" "+s.page.g.arrow+" over "+u)
		}
	}
	if len(rows) == 0 {
		s.section("LINKS")
		if s.loopback[ns.ID] {
			s.lines("none but lo")
		} else {
			s.lines("not read")
		}
	}
	s.table("LINKS", cols(">IF", "!NAME", "TYPE", "STATE", ">MTU", "MAC", "!ADDRESS"), rows)
	s.list("WIRES", wires)
	raw := s.g.Namespace(ns)
	if raw == nil {
		return
	}
	rows = nil
	for i := range raw.Links {
		for _, f := range kindFields(&raw.Links[i]) {
			rows = append(rows, []string{raw.Links[i].Name, f.key, f.value})
		}
	}
	if len(rows) > 0 {
		s.section("ATTRIBUTES OF LINKS")
		var list []string
		for _, r := range rows {
			list = append(list, strings.Join(r, "  "))
		}
		s.lines(list...)
	}
	s.statistics(raw.Links)
	s.tables(ns, raw, 0)
	s.sockets(raw)
	s.tracking(raw)
	s.xfrm(&raw.Xfrm)
	s.sysctls(raw, "")
	counters := map[string]string{}
	for k, v := range raw.Counters {
		counters[k] = strconv.FormatUint(v, 10)
	}
	s.pairs("COUNTERS", counters)
	rows = nil
	names := map[snapshot.NSID]string{}
	s.each(topo.KindNetns, func(n *topo.Node) {
		if x := s.g.Namespace(n); x != nil && n.Host == ns.Host && len(raw.NSIDs) > 0 {
			names[x.ID] = nsName(n)
		}
	})
	for _, p := range raw.NSIDs {
		name := cmp.Or(names[p.Namespace], p.Namespace.Short())
		if p.Namespace == "" {
			name = "not known"
		}
		rows = append(rows, []string{strconv.Itoa(p.NSID), name})
	}
	s.table("NSIDS", cols(">NSID", "NAMESPACE"), rows)
}

func (s *shower) statistics(links []snapshot.Link) {
	var rows [][]string
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	nz := func(n uint64) string { return when(n != 0, u(n)) }
	for i := range links {
		l := &links[i]
		st := &l.Stats
		if st.RxPackets|st.TxPackets|st.RxErrors|st.TxErrors|st.RxDropped|st.TxDropped == 0 {
			continue
		}
		rows = append(rows, []string{l.Name, u(st.RxPackets), u(st.TxPackets), nz(st.RxDropped), nz(st.TxDropped), nz(st.RxErrors), nz(st.TxErrors), u(st.RxBytes), u(st.TxBytes)})
	}
	s.table("PACKETS", cols("LINK", ">RECEIVED", ">SENT", ">RX DROPPED", ">TX DROPPED", ">RX ERRORS", ">TX ERRORS", ">RX BYTES", ">TX BYTES"), rows)
}

// tables writes routes, rules, neighbours, FDB and queues: all of a namespace's, or those of one link. Addresses of other
// nodes have the node's name beside them, as seen from the node of the graph that they are of.
func (s *shower) tables(of *topo.Node, ns *snapshot.Namespace, only int) {
	dev := map[int]string{}
	for i := range ns.Links {
		dev[ns.Links[i].Index] = ns.Links[i].Name
	}
	name := func(i int) string {
		if i == 0 {
			return ""
		}
		return cmp.Or(dev[i], fmt.Sprintf("if%d", i))
	}
	node := func(a netip.Addr) string {
		if n := s.g.NodeName(of, a); n != "" {
			return "(" + n + ")"
		}
		return ""
	}
	var list []string
	hidden := 0
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if only != 0 && r.OIF != only && !slices.ContainsFunc(r.NextHops, func(h snapshot.NextHop) bool { return h.OIF == only }) {
			continue
		}
		if r.Table == 255 && !s.page.o.Wide {
			hidden++
			continue
		}
		list = append(list, routeWords(r, name, node))
	}
	if hidden > 0 && only == 0 {
		list = append(list, fmt.Sprintf("and %s in table local", plural(hidden, "route")))
	}
	s.list("ROUTES", list)
	if only == 0 {
		list = nil
		for i := range ns.Rules {
			r := &ns.Rules[i]
			list = append(list, fmt.Sprintf("%d: %s", r.Priority, words(ruleWords(r), when(r.Family == "inet6", "(IPv6)"))))
		}
		s.list("RULES", list)
	}
	var rows [][]string
	for _, n := range ns.Neighbors {
		if only == 0 || n.Ifindex == only {
			rows = append(rows, []string{words(addr(n.Addr), node(n.Addr)), n.MAC, name(n.Ifindex), n.State, words(strings.Join(n.Flags, " "), n.Protocol)})
		}
	}
	s.table("NEIGHBOURS", cols("!ADDRESS", "MAC", "DEV", "STATE", "FLAGS"), rows)
	rows = nil
	hidden = 0
	for _, f := range ns.FDB {
		if only != 0 && f.Ifindex != only && f.Master != only {
			continue
		}
		if groupMAC(f.MAC) && !s.page.o.Wide {
			hidden++
			continue
		}
		vni := ""
		if f.VNI != nil {
			vni = fmt.Sprintf("vni %d", *f.VNI)
		}
		rows = append(rows, []string{f.MAC, name(f.Ifindex), words(addr(f.Dst), node(f.Dst)), name(f.Master), cmp.Or(f.State, "learnt"),
			words(vni, when(f.Port != 0, fmt.Sprintf("port %d", f.Port)), when(f.Via != 0, fmt.Sprintf("via ifindex %d", f.Via)), when(f.VLAN != 0, fmt.Sprintf("vlan %d", f.VLAN)),
				when(f.NHID != 0, fmt.Sprintf("nexthop %d", f.NHID)), strings.Join(f.Flags, " "))})
	}
	s.table("FORWARDING (FDB)", cols("!MAC", "DEV", "TO", "BRIDGE", "STATE", "FLAGS"), rows)
	if hidden > 0 && len(rows) > 0 {
		s.lines(fmt.Sprintf("and %d of multicast groups", hidden))
	}
	rows = nil
	for _, q := range ns.Qdiscs {
		idle := q.Drops|q.Overlimits|q.Requeues|q.Backlog|q.QLen == 0
		if only != 0 && q.Ifindex != only || only == 0 && idle && !s.page.o.Wide {
			continue
		}
		u := func(n uint64) string { return strconv.FormatUint(n, 10) }
		rows = append(rows, []string{name(q.Ifindex), q.Kind, q.Handle, q.Parent, u(q.Packets), u(q.Drops), u(q.Overlimits), u(q.Requeues), u(q.QLen)})
	}
	s.table("QUEUES", cols("DEV", "KIND", "HANDLE", "PARENT", ">SENT", ">DROPPED", ">OVER", ">REQUEUED", ">WAITING"), rows)
	s.classes(ns, only, name)
	s.filters(ns, only, name)
	s.programs(ns, only, name)
}

// groupMAC tells whether a MAC address is a multicast group's.
func groupMAC(mac string) bool {
	b, err := strconv.ParseUint(mac[:min(2, len(mac))], 16, 8)
	return err == nil && b&1 == 1
}

// routeWords writes a route as ip does, with the name of the node that a gateway is, where it is known.
func routeWords(r *snapshot.Route, name func(int) string, node func(netip.Addr) string) string {
	dst := addr(r.Dst)
	if r.Dst.IsValid() && r.Dst.Bits() == 0 {
		dst = words("default", when(r.Dst.Addr().Is6(), "(IPv6)"))
	}
	hop := func(gw netip.Addr, oif int) string {
		return words(when(gw.IsValid(), "via "+words(addr(gw), node(gw))), when(oif != 0, "dev "+name(oif)))
	}
	w := []string{when(r.Type != "unicast", r.Type), dst, when(r.Src.IsValid(), "from "+addr(r.Src)), when(r.TOS != 0, fmt.Sprintf("tos %d", r.TOS)), hop(r.Gateway, r.OIF),
		when(r.IIF != 0, "iif "+name(r.IIF)), when(r.Table != 254, "table "+tableName(r.Table)), when(r.Protocol != "", "proto "+r.Protocol),
		when(r.Scope != "" && r.Scope != "global", "scope "+r.Scope), when(r.PrefSrc.IsValid(), "src "+addr(r.PrefSrc)), when(r.Metric != 0, fmt.Sprintf("metric %d", r.Metric)),
		when(r.MTU != 0, fmt.Sprintf("mtu %d", r.MTU)), when(r.AdvMSS != 0, fmt.Sprintf("advmss %d", r.AdvMSS)), when(r.Encap != "", "encap "+r.Encap),
		when(r.Pref != "", "pref "+r.Pref), when(r.NHID != 0, fmt.Sprintf("nhid %d", r.NHID)), strings.Join(r.Flags, " ")}
	for _, h := range r.NextHops {
		w = append(w, words("nexthop", hop(h.Gateway, h.OIF), fmt.Sprintf("weight %d", h.Weight), strings.Join(h.Flags, " ")))
	}
	return words(w...)
}

func tableName(t uint32) string {
	switch t {
	case 253:
		return "default"
	case 254:
		return "main"
	case 255:
		return "local"
	}
	return strconv.FormatUint(uint64(t), 10)
}

// ruleWords writes a rule as ip does.
func ruleWords(r *snapshot.Rule) string {
	prefix := func(word string, p interface {
		IsValid() bool
		String() string
	}, all bool) string {
		if p.IsValid() {
			return word + " " + p.String()
		}
		return when(all, word+" all")
	}
	ports := func(word string, p *snapshot.PortRange) string {
		switch {
		case p == nil:
			return ""
		case p.From == p.To:
			return fmt.Sprintf("%s %d", word, p.From)
		}
		return fmt.Sprintf("%s %d-%d", word, p.From, p.To)
	}
	mark := ""
	if r.FwMark != 0 || r.FwMask != 0 {
		mark = fmt.Sprintf("fwmark 0x%x", r.FwMark)
		if r.FwMask != 0 && r.FwMask != 0xffffffff {
			mark += fmt.Sprintf("/0x%x", r.FwMask)
		}
	}
	var uids, suppress, group string
	if r.UIDRange != nil {
		uids = fmt.Sprintf("uidrange %d-%d", r.UIDRange.From, r.UIDRange.To)
	}
	if r.SuppressPrefixLen != nil {
		suppress = fmt.Sprintf("suppress_prefixlength %d", *r.SuppressPrefixLen)
	}
	if r.SuppressIfGroup != nil {
		group = fmt.Sprintf("suppress_ifgroup %d", *r.SuppressIfGroup)
	}
	action := r.Action
	switch action {
	case "lookup":
		action += " " + tableName(r.Table)
	case "goto":
		action += fmt.Sprintf(" %d", r.Goto)
	}
	if r.L3MDev {
		action = "lookup [l3mdev-table]"
	}
	return words(when(r.Invert, "not"), prefix("from", r.Src, true), prefix("to", r.Dst, false), when(r.IIF != "", "iif "+r.IIF), when(r.OIF != "", "oif "+r.OIF), mark,
		when(r.TOS != 0, fmt.Sprintf("tos %d", r.TOS)), when(r.IPProto != 0, fmt.Sprintf("ipproto %d", r.IPProto)), ports("sport", r.SPort), ports("dport", r.DPort),
		uids, when(r.TunID != 0, fmt.Sprintf("tun_id %d", r.TunID)), action, suppress, group)
}

// sockets lists who listens, and with Wide every connection too.
func (s *shower) sockets(ns *snapshot.Namespace) {
	var rows [][]string
	hidden := 0
	for i := range ns.Sockets {
		k := &ns.Sockets[i]
		if k.State != "listen" && k.State != "unconnected" && !s.page.o.Wide {
			hidden++
			continue
		}
		proc := k.Comm
		if k.PID != 0 {
			proc = words(k.Comm, fmt.Sprintf("(%d)", k.PID))
		}
		// Of a listening socket the queues are those waiting to be accepted, and how many may.
		rx, tx, backlog := number(int(k.RxQueue)), number(int(k.TxQueue)), ""
		if k.State == "listen" {
			rx, tx, backlog = "", "", fmt.Sprintf("%d of %d", k.RxQueue, k.TxQueue)
		}
		rows = append(rows, []string{k.Proto, k.State, k.Local.String(), when(k.Remote.IsValid() && k.Remote.Port() != 0, k.Remote.String()), proc, rx, tx, backlog, number(int(k.Drops)),
			when(k.Mark != 0, fmt.Sprintf("0x%x", k.Mark)), strconv.FormatUint(uint64(k.UID), 10)})
	}
	s.table("SOCKETS", cols("PROTO", "STATE", "!LOCAL", "REMOTE", "PROCESS", ">RX QUEUE", ">TX QUEUE", "BACKLOG", ">DROPS", "MARK", "+>UID"), rows)
	if hidden > 0 {
		if len(rows) == 0 {
			s.section("SOCKETS")
		}
		s.lines(fmt.Sprintf("and %s", plural(hidden, "connection")))
	}
}

func (s *shower) xfrm(x *snapshot.Xfrm) {
	var list []string
	to := " " + s.page.g.arrow + " "
	for _, t := range x.States {
		list = append(list, words(t.Proto, t.Mode, addr(t.Src)+to+addr(t.Dst), fmt.Sprintf("spi 0x%x", t.SPI), when(t.ReqID != 0, fmt.Sprintf("reqid %d", t.ReqID)), t.AEAD, t.Crypt, t.Auth,
			when(t.Mark != 0, markWord(t.Mark)), when(t.IfID != 0, fmt.Sprintf("if_id %d", t.IfID)), when(t.SelSrc.IsValid() || t.SelDst.IsValid(), "for "+addr(t.SelSrc)+to+addr(t.SelDst)),
			plural(int(t.Packets), "packet"), when(t.ReplayErrors != 0, fmt.Sprintf("replayed %d", t.ReplayErrors)), when(t.IntegrityErrors != 0, fmt.Sprintf("broken %d", t.IntegrityErrors))))
	}
	s.list("IPSEC STATES (XFRM)", list)
	list = nil
	for _, t := range x.Policies {
		w := []string{t.Dir, addr(t.Src) + to + addr(t.Dst), when(t.Proto != 0, fmt.Sprintf("proto %d", t.Proto)), when(t.SPort != 0, fmt.Sprintf("sport %d", t.SPort)),
			when(t.DPort != 0, fmt.Sprintf("dport %d", t.DPort)), when(t.Mark != 0, markWord(t.Mark)), when(t.IfID != 0, fmt.Sprintf("if_id %d", t.IfID)), when(t.Priority != 0, fmt.Sprintf("priority %d", t.Priority)), t.Action}
		for _, m := range t.Tmpls {
			w = append(w, words("as", m.Proto, m.Mode, addr(m.Src)+to+addr(m.Dst), when(m.ReqID != 0, fmt.Sprintf("reqid %d", m.ReqID)), when(m.SPI != 0, fmt.Sprintf("spi 0x%x", m.SPI))))
		}
		list = append(list, words(w...))
	}
	s.list("IPSEC POLICIES", list)
}

// sysctls writes a namespace's, those of single links only with Wide; or those of one link.
func (s *shower) sysctls(ns *snapshot.Namespace, only string) {
	list, hidden := map[string]string{}, 0
	for k, v := range ns.Sysctls {
		dev := sysctlLink(k)
		switch {
		case only != "" && dev != only:
		case only == "" && dev != "" && dev != "all" && dev != "default" && !s.page.o.Wide:
			hidden++
		default:
			list[k] = strings.ReplaceAll(v, "\t", " ") // as the kernel separates several numbers
		}
	}
	s.pairs("SYSCTLS", list)
	if hidden > 0 {
		s.lines(fmt.Sprintf("and %d of single links", hidden))
	}
}

// sysctlLink is the link in "net.ipv4.conf.eth0.rp_filter", whose name may have dots itself; empty for other keys.
func sysctlLink(key string) string {
	for _, dir := range []string{".conf.", ".neigh."} {
		if _, rest, ok := strings.Cut(key, dir); ok {
			dev, _, _ := cutLast(rest, ".")
			return dev
		}
	}
	return ""
}

// pairs writes keys and values in order of the keys.
func (s *shower) pairs(title string, m map[string]string) {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+" = "+m[k])
	}
	s.list(title, list)
}
