package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// neighborState is a neighbour's state without its timers.
func neighborState(s string) string {
	switch s {
	case "reachable", "stale", "delay", "probe":
		return "learnt"
	case "failed", "incomplete":
		return "unanswered"
	}
	return s
}

func (l *listing) neighbors() (out []fact) {
	for i := range l.sp.ns.Neighbors {
		n := &l.sp.ns.Neighbors[i]
		if n.Passing() {
			continue
		}
		link := l.linkKey(n.Ifindex)
		what := "neighbour " + n.Addr.String()
		if slices.Contains(n.Flags, "proxy") {
			what = "proxy for " + n.Addr.String()
		}
		f := fact{key: link + " " + what, what: what + " on " + l.linkName(n.Ifindex), node: l.linkNode(n.Ifindex),
			attrs: []attr{{text: n.MAC}, {name: "state", text: neighborState(n.State)}, {name: "flags", text: strings.Join(n.Flags, " ")}, {name: "proto", text: n.Protocol}}}
		f.follows = func(op ChangeOp) bool { return l.causes.link(link, op) }
		out = append(out, f)
	}
	return out
}

func (l *listing) fdb() (out []fact) {
	for i := range l.sp.ns.FDB {
		e := &l.sp.ns.FDB[i]
		link := l.linkKey(e.Ifindex)
		kind, to := "self", ""
		if e.Master != 0 {
			kind = "master " + l.linkKey(e.Master)
		}
		if e.Dst.IsValid() {
			to = e.Dst.String()
		}
		key := fmt.Sprint(link, e.MAC, e.VLAN, kind, e.SrcVNI)
		if strings.Trim(e.MAC, "0:") == "" { // the entry for all others may have many
			key += to
		}
		what := "FDB entry " + e.MAC
		if e.VLAN != 0 {
			what += " vlan " + num(e.VLAN)
		}
		f := fact{key: key, what: what + " on " + l.linkName(e.Ifindex), node: l.linkNode(e.Ifindex), attrs: []attr{{name: "to", text: to}}}
		if e.VNI != nil {
			f.attrs = append(f.attrs, attr{name: "vni", text: num(*e.VNI)})
		}
		state := e.State
		if state == "reachable" || state == "stale" {
			state = ""
		}
		f.attrs = append(f.attrs, attr{name: "port", text: num(e.Port)}, attr{name: "via", text: num(e.Via)}, attr{name: "", text: cmp.Or(state, "learnt")},
			attr{name: "flags", text: strings.Join(e.Flags, " ")}, attr{name: "nexthop object", text: num(e.NHID)})
		f.follows = func(op ChangeOp) bool {
			return l.causes.link(link, op) || state == "permanent" && !e.Dst.IsValid() && l.causes.moved[link]
		}
		out = append(out, f)
	}
	return out
}
