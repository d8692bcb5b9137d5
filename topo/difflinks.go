package topo

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// listing makes facts of one namespace's lists.
type listing struct {
	*graphSide
	sp     *space
	byName bool // links are paired by name
	causes *causes
}

// linkKey tells links apart; linkName is what a link is called.
func (l *listing) linkKey(index int) string {
	if l.byName {
		return l.linkName(index)
	}
	return strconv.Itoa(index)
}

func (l *listing) linkName(index int) string {
	if k := l.sp.byIdx[index]; k != nil && k.l.Name != "" {
		return k.l.Name
	}
	return "if" + strconv.Itoa(index)
}

// sameLinks are the ifindexes of links that are the same in both but for their counters: most, where little changed.
func (l *listing) sameLinks(o *listing) map[int]bool {
	out := map[int]bool{}
	if l.byName {
		return out
	}
	for i, k := range l.sp.byIdx {
		m := o.sp.byIdx[i]
		if m == nil {
			continue
		}
		x, y := *k.l, *m.l
		x.Stats, y.Stats = snapshot.LinkStats{}, snapshot.LinkStats{}
		if reflect.DeepEqual(&x, &y) && l.peerAttr(k).same(o.peerAttr(m)) && l.linkName(x.Master) == o.linkName(x.Master) {
			out[i] = true
		}
	}
	return out
}

// linkFacts are those of the links that are not left out, by ifindex.
func (l *listing) linkFacts(leave map[int]bool) []fact {
	out := make([]fact, 0, len(l.sp.links))
	for _, k := range l.sp.links {
		if leave[k.l.Index] {
			continue
		}
		f := fact{key: l.linkKey(k.l.Index), what: "link " + l.linkName(k.l.Index), node: k.node, attrs: l.linkAttrs(k)}
		out = append(out, f)
	}
	return out
}

func (l *listing) linkAttrs(k *link) []attr {
	v := k.l
	up := "down"
	if slices.Contains(v.Flags, "up") {
		up = "up"
	}
	out := []attr{{name: "name", text: v.Name, quiet: true}, {text: cmp.Or(v.Kind, v.Type)}, {name: "set", text: up, quiet: true}, {name: "state", text: v.State}, {name: "mtu", text: num(v.MTU)},
		{name: "mac", text: v.MAC}}
	if v.Master != 0 {
		out = append(out, attr{name: "master", text: l.linkName(v.Master), cmp: l.linkKey(v.Master)})
	}
	if p := l.peerAttr(k); p.text != "" {
		out = append(out, p)
	}
	flags := slices.DeleteFunc(slices.Clone(v.Flags), func(s string) bool { return s == "up" || s == "lower_up" || s == "no-carrier" })
	out = append(out, attr{name: "alias", text: v.Alias}, attr{name: "xdp", text: v.XDP})
	shown := len(out)
	out = append(out, attr{name: "flags", text: strings.Join(flags, " ")}, attr{name: "altnames", text: strings.Join(v.AltNames, " ")}, attr{name: "group", text: num(v.Group)},
		attr{name: "txqlen", text: num(v.TxQLen)}, attr{name: "qdisc", text: v.Qdisc}, attr{name: "xdp program", text: num(v.XDPProg)})
	// Cost, number and timers of a port or bridge are among what flatten gives.
	br := v.Bridge
	if br != nil && !br.STP {
		// Ids without a protocol that uses them are the MAC once more.
		plain := *br
		plain.BridgeID, plain.RootID = "", ""
		br = &plain
	}
	out = flatten(out, "bridge", br)
	out = flatten(out, "port", v.BridgePort)
	out = flatten(out, "vxlan", v.Vxlan)
	out = flatten(out, "macvlan", v.Macvlan)
	out = flatten(out, "ipvlan", v.Ipvlan)
	out = flatten(out, "vlan", v.Vlan)
	out = flatten(out, "tun", v.Tun)
	out = flatten(out, "netkit", v.Veth)
	out = flatten(out, "bond", v.Bond)
	out = flatten(out, "vrf", v.Vrf)
	out = flatten(out, "tunnel", v.Tunnel)
	for i := shown; i < len(out); i++ {
		out[i].quiet = out[i].name != "vxlan vni" && out[i].name != "vlan id" && !strings.HasSuffix(out[i].name, " mode")
	}
	return out
}

// peerAttr is a link's other end or parent, by what does not change when it is renamed.
func (l *listing) peerAttr(k *link) attr {
	p := k.l.Peer
	if p == nil {
		return attr{}
	}
	to := l.g.Peer(l.node(k.node))
	name := "peer"
	if to == nil {
		if to = l.g.first(l.node(k.node), EdgeParent); to != nil {
			name = "parent"
		}
	}
	if to == nil {
		return attr{name: name, text: ""}
	}
	where := ""
	if in, ok := l.g.Netns(to); ok && in.ID != l.sp.node {
		where = " in " + in.Name
	}
	id := to.ID
	if l.byName {
		id = to.Name
	}
	return attr{name: name, text: to.Name + where, cmp: id}
}

func (s *graphSide) node(id string) *Node {
	n, _ := s.g.Node(id)
	return n
}

func (l *listing) linkNode(index int) string {
	if k := l.sp.byIdx[index]; k != nil {
		return k.node
	}
	return ""
}
