package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func (s *shower) link(n *topo.Node) {
	a := &n.Attrs
	s.title("link", nameOf(n), where(n))
	ns := s.netnsOf[n.ID]
	list := []field{{"in", s.nsWords(ns)}}
	if ns != nil {
		var in []string
		for _, c := range s.containers[ns.ID] {
			in = append(in, nameOf(c))
		}
		list = append(list, field{"containers", strings.Join(in, ", ")})
	}
	list = append(list, field{"ifindex", number(a.Ifindex)}, field{"type", cmp.Or(a.Type, "device")}, field{"state", a.State},
		field{"mtu", number(a.MTU)}, field{"mac", a.MAC}, field{"alias", a.Alias}, field{"wire", s.wire(n)},
		field{"over", s.under(n)}, field{"networks", s.networkNames(n)})
	raw := s.g.Link(n)
	if raw == nil {
		list = append(list, field{"addresses", strings.Join(a.Addrs, ", ")}, field{"attributes", linkFacts(n, true)})
	} else {
		list = append(list, field{"flags", strings.Join(raw.Flags, " ")}, field{"other names", strings.Join(raw.AltNames, ", ")},
			field{"permanent mac", raw.PermMAC}, field{"qdisc", words(raw.Qdisc, when(raw.TxQLen > 0, fmt.Sprintf("qlen %d", raw.TxQLen)))},
			field{"device", words(raw.ParentBus, raw.ParentDev)}, field{"group", number(int(raw.Group))}, field{"promiscuity", number(int(raw.Promiscuity))},
			field{"xdp", words(raw.XDP, when(raw.XDPProg != 0, fmt.Sprintf("program %d", raw.XDPProg)))})
		list = append(list, kindFields(raw)...)
	}
	s.fields(list...)
	s.list("TO THE OUTSIDE", s.g.Leaves(n))
	s.tunnelTable("TUNNELS", s.edges(n.ID, topo.EdgeTunnel), func(e *topo.Edge) *topo.Node { return s.node[e.To] })
	var rows [][]string
	for _, p := range s.ports[n.ID] {
		rows = append(rows, []string{nameOf(p), cmp.Or(p.Attrs.Type, "device"), p.Attrs.State, s.wire(p)})
	}
	s.table("PORTS", cols("NAME", "TYPE", "STATE", "!WIRE"), rows)
	rows = nil
	for _, c := range s.children[n.ID] {
		in := ""
		if ns := s.netnsOf[c.ID]; ns != nil {
			in = nsName(ns)
		}
		rows = append(rows, []string{nameOf(c), linkFacts(c, true), in, strings.Join(mainAddrs(c.Attrs.Addrs, false), ", ")})
	}
	s.table("CHILDREN", cols("NAME", "TYPE", "IN", "!ADDRESS"), rows)
	if raw == nil {
		return
	}
	rows = nil
	for _, x := range raw.Addrs {
		rows = append(rows, []string{addr(x.Prefix), addr(x.Peer), x.Scope, when(x.Label != raw.Name, x.Label), strings.Join(x.Flags, " ")})
	}
	s.table("ADDRESSES", cols("!ADDRESS", "PEER", "SCOPE", "LABEL", "FLAGS"), rows)
	s.statistics([]snapshot.Link{*raw})
	if nsRaw := s.g.Namespace(n); nsRaw != nil {
		s.tables(n, nsRaw, raw.Index)
		s.sysctls(nsRaw, raw.Name)
	}
}

// wire describes in one line what is at the other end of a link: "veth1a2b in host, port of docker0 (network bridge)".
func (s *shower) wire(l *topo.Node) string {
	if m := s.master[l.ID]; m != nil {
		own := "port of " + nameOf(m)
		if p := s.peer[l.ID]; p != nil {
			return s.end(p, l) + "; " + own
		}
		if far := s.g.FarEnd(l); isPair(l) && far != "" {
			return far + "; " + own
		}
		return own
	}
	if p := s.peer[l.ID]; p != nil {
		return s.end(p, l)
	}
	if up := s.parent[l.ID]; up != nil {
		return "on " + s.end(up, l)
	}
	if isPair(l) {
		return cmp.Or(s.g.FarEnd(l), "other end unknown")
	}
	return ""
}

func (s *shower) end(p, l *topo.Node) string {
	text := nameOf(p)
	ns := s.netnsOf[p.ID]
	if ns != nil && ns != s.netnsOf[l.ID] {
		in := nsName(ns)
		if list := s.containers[ns.ID]; len(list) > 0 && !isHome(ns) {
			in = nameOf(list[0])
		}
		text += " in " + in
	}
	if m := s.master[p.ID]; m != nil {
		text += ", port of " + nameOf(m)
		if nets := s.networkNames(m); nets != "" {
			text += " (network " + nets + ")"
		}
	}
	return text
}

func (s *shower) under(l *topo.Node) string {
	var r []string
	for _, e := range s.edges(l.ID, topo.EdgeUnderlay) {
		r = append(r, nameOf(s.node[e.To]))
	}
	return strings.Join(r, ", ")
}

func (s *shower) networkNames(l *topo.Node) string {
	var r []string
	for _, n := range s.carried(l) {
		r = append(r, nameOf(n))
	}
	return strings.Join(r, ", ")
}

// kindFields are the attributes of a link's kind.
func kindFields(l *snapshot.Link) []field {
	var f []field
	add := func(key string, list ...string) {
		f = append(f, field{key, words(list...)})
	}
	yes := func(ok bool, word string) string {
		if ok {
			return word
		}
		return "no" + word
	}
	if b := l.Bridge; b != nil {
		add("bridge", "id "+b.BridgeID, "root "+b.RootID, fmt.Sprintf("priority %d", b.Priority), yes(b.STP, "stp"), yes(b.VlanFiltering, "vlan_filtering"),
			when(b.VlanFiltering, fmt.Sprintf("vlan_protocol %s default_pvid %d", b.VlanProtocol, b.VlanDefaultPVID)),
			yes(b.McastSnooping, "mcast_snooping"), when(b.McastQuerier, "mcast_querier"), when(b.GroupFwdMask != 0, fmt.Sprintf("group_fwd_mask 0x%x", b.GroupFwdMask)))
		add("bridge times", fmt.Sprintf("forward_delay %gs hello %gs max_age %gs ageing %gs", b.ForwardDelay, b.HelloTime, b.MaxAge, b.AgeingTime))
		add("bridge filters", when(b.NfCallIptables, "nf_call_iptables"), when(b.NfCallIp6tables, "nf_call_ip6tables"), when(b.NfCallArptables, "nf_call_arptables"))
		add("bridge vlans", vlans(b.Vlans))
	}
	if p := l.BridgePort; p != nil {
		add("port", p.State, fmt.Sprintf("number %d priority %d cost %d", p.Number, p.Priority, p.Cost), portFlags(p))
		add("port vlans", vlans(p.Vlans))
	}
	if v := l.Vxlan; v != nil {
		add("vxlan", fmt.Sprintf("vni %d port %d", v.VNI, v.Port), when(v.Local.IsValid(), "local "+addr(v.Local)), when(v.Group.IsValid(), "group "+addr(v.Group)),
			when(v.Link != 0, fmt.Sprintf("underlay ifindex %d", v.Link)), yes(v.Learning, "learning"), when(v.Proxy, "proxy"), when(v.RSC, "rsc"), when(v.L2Miss, "l2miss"), when(v.L3Miss, "l3miss"),
			when(v.TTL != 0, fmt.Sprintf("ttl %d", v.TTL)), when(v.TOS != 0, fmt.Sprintf("tos %d", v.TOS)), when(v.DF != "", "df "+v.DF), fmt.Sprintf("ageing %ds", v.Ageing),
			when(v.Limit != 0, fmt.Sprintf("limit %d", v.Limit)), when(v.SrcPortHigh != 0, fmt.Sprintf("srcport %d-%d", v.SrcPortLow, v.SrcPortHigh)), when(v.UDPCsum, "udpcsum"),
			when(v.UDP6ZeroCsumTx, "udp6zerocsumtx"), when(v.UDP6ZeroCsumRx, "udp6zerocsumrx"),
			when(v.GBP, "gbp"), when(v.GPE, "gpe"), when(v.External, "external"), when(v.VNIFilter, "vnifilter"))
	}
	if m := l.Macvlan; m != nil {
		add(l.Kind, "mode "+m.Mode, strings.Join(m.Flags, " "))
	}
	if v := l.Ipvlan; v != nil {
		add(l.Kind, "mode "+v.Mode, v.Flag)
	}
	if v := l.Vlan; v != nil {
		add("vlan", fmt.Sprintf("id %d %s", v.ID, v.Protocol), strings.Join(v.Flags, " "))
	}
	if t := l.Tun; t != nil {
		owner, group := "", ""
		if t.Owner != nil {
			owner = fmt.Sprintf("owner uid %d", *t.Owner)
		}
		if t.Group != nil {
			group = fmt.Sprintf("group gid %d", *t.Group)
		}
		add("tun", t.Mode, owner, group, when(t.PI, "pi"), when(t.VnetHdr, "vnet_hdr"), when(t.MultiQueue, "multi_queue"), when(t.Persist, "persist"))
	}
	if v := l.Veth; v != nil && (v.Mode != "" || v.Primary) {
		add(l.Kind, v.Mode, when(v.Primary, "primary"))
	}
	if b := l.Bond; b != nil {
		add("bond", b.Mode, when(b.Active != 0, fmt.Sprintf("active ifindex %d", b.Active)))
	}
	if v := l.Vrf; v != nil {
		add("vrf", fmt.Sprintf("table %d", v.Table))
	}
	if t := l.Tunnel; t != nil {
		add("tunnel", when(t.Local.IsValid(), "local "+addr(t.Local)), when(t.Remote.IsValid(), "remote "+addr(t.Remote)), when(t.Link != 0, fmt.Sprintf("underlay ifindex %d", t.Link)),
			when(t.Key != 0, fmt.Sprintf("key %d", t.Key)), when(t.Port != 0, fmt.Sprintf("port %d", t.Port)), when(t.TTL != 0, fmt.Sprintf("ttl %d", t.TTL)), when(t.External, "external"))
	}
	return slices.DeleteFunc(f, func(x field) bool { return x.value == "" })
}

// portFlags names what is unusual about a bridge's port: defaults are left out.
func portFlags(p *snapshot.BridgePort) string {
	return words(when(p.Hairpin, "hairpin"), when(p.Guard, "guard"), when(p.RootBlock, "root_block"), when(p.FastLeave, "fastleave"),
		when(!p.Learning, "nolearning"), when(!p.Flood, "noflood"), when(!p.McastFlood, "nomcast_flood"), when(!p.BcastFlood, "nobcast_flood"),
		when(p.ProxyARP, "proxy_arp"), when(p.NeighSuppress, "neigh_suppress"), when(p.VlanTunnel, "vlan_tunnel"), when(p.Isolated, "isolated"),
		when(p.Locked, "locked"), when(p.McastToUcast, "mcast_to_unicast"), when(p.BackupIfindex != 0, fmt.Sprintf("backup_port ifindex %d", p.BackupIfindex)))
}

func vlans(list []snapshot.BridgeVlan) string {
	var r []string
	for _, v := range list {
		w := fmt.Sprint(v.From)
		if v.To != v.From && v.To != 0 {
			w += fmt.Sprintf("-%d", v.To)
		}
		r = append(r, words(w, when(v.PVID, "pvid"), when(v.Untagged, "untagged")))
	}
	return strings.Join(r, ", ")
}
