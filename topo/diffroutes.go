package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

func (l *listing) addrs() (out []fact) {
	for _, k := range l.sp.links {
		for i := range k.l.Addrs {
			a := &k.l.Addrs[i]
			key := l.linkKey(k.l.Index)
			f := fact{key: key + " " + a.Prefix.String(), what: "address " + a.Prefix.String() + " on " + l.linkName(k.l.Index), node: k.node}
			if a.Peer.IsValid() {
				f.key += " " + a.Peer.String()
				f.attrs = append(f.attrs, attr{name: "peer", text: a.Peer.String()})
			}
			flags := slices.DeleteFunc(slices.Clone(a.Flags), func(s string) bool { return s == "tentative" })
			slices.Sort(flags)
			if a.Scope != "global" {
				f.attrs = append(f.attrs, attr{name: "scope", text: a.Scope})
			}
			if a.Broadcast.IsValid() {
				f.attrs = append(f.attrs, attr{name: "broadcast", text: a.Broadcast.String()})
			}
			if a.Label != k.l.Name {
				f.attrs = append(f.attrs, attr{name: "label", text: a.Label})
			}
			f.attrs = append(f.attrs, attr{name: "flags", text: strings.Join(flags, " "), quiet: true})
			f.follows = func(op ChangeOp) bool {
				return l.causes.link(key, op) || a.Prefix.Addr().IsLinkLocalUnicast() && l.causes.moved[key]
			}
			out = append(out, f)
		}
	}
	return out
}

func (l *listing) routes() (out []fact) {
	for i := range l.sp.ns.Routes {
		r := &l.sp.ns.Routes[i]
		what := "route "
		if r.Type != "unicast" {
			what += r.Type + " "
		}
		if r.Dst.Bits() == 0 {
			what += "default"
			if r.Family == "inet6" {
				what += " (IPv6)"
			}
		} else {
			what += r.Dst.String()
		}
		key := fmt.Sprint(r.Family, r.Table, r.Type, r.Dst, r.Src, r.Metric, r.TOS)
		f := fact{key: key}
		via := func(gw netip.Addr, oif int) string {
			s := ""
			if gw.IsValid() {
				s = "via " + gw.String()
			}
			if oif != 0 {
				s = strings.TrimSpace(s + " dev " + l.linkName(oif))
			}
			return s
		}
		if s := via(r.Gateway, r.OIF); s != "" {
			f.attrs = append(f.attrs, attr{text: s, cmp: r.Gateway.String() + " " + l.linkKey(r.OIF)})
		}
		for j, h := range r.NextHops {
			f.attrs = append(f.attrs, attr{name: "hop " + num(j+1), text: fmt.Sprintf("%s weight %d", via(h.Gateway, h.OIF), h.Weight)})
		}
		if r.Src.IsValid() {
			what += " from " + r.Src.String()
		}
		if r.Table != 254 {
			what += " table " + num(r.Table)
		}
		if r.Metric != 0 {
			what += " metric " + num(r.Metric)
		}
		f.what = what
		if r.PrefSrc.IsValid() {
			f.attrs = append(f.attrs, attr{name: "src", text: r.PrefSrc.String()})
		}
		f.attrs = append(f.attrs, attr{name: "proto", text: r.Protocol}, attr{name: "scope", text: r.Scope}, attr{name: "mtu", text: num(r.MTU)}, attr{name: "advmss", text: num(r.AdvMSS)},
			attr{name: "flags", text: strings.Join(r.Flags, " ")}, attr{name: "nexthop object", text: num(r.NHID)}, attr{name: "pref", text: r.Pref}, attr{name: "encap", text: r.Encap})
		link := l.linkKey(r.OIF)
		f.follows = func(op ChangeOp) bool {
			return l.causes.link(link, op) || r.Protocol == "kernel" && (r.Table == 255 && r.Dst.Addr().IsLinkLocalUnicast() || l.causes.moved[link] || l.causes.addr(link, op, r.Dst)) || op == Changed && l.causes.moved[link]
		}
		out = append(out, f)
	}
	return out
}

func ruleFacts(rules []snapshot.Rule) (out []fact) {
	for i := range rules {
		r := &rules[i]
		out = append(out, fact{key: asJSON(r), what: fmt.Sprintf("rule %d: %s", r.Priority, policyText(r))})
	}
	return out
}

// policyText is a rule of policy routing as ip prints it.
func policyText(r *snapshot.Rule) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if r.Family == "inet6" {
		add("IPv6")
	}
	if r.Invert {
		add("not")
	}
	from := "all"
	if r.Src.IsValid() {
		from = r.Src.String()
	}
	add("from %s", from)
	if r.Dst.IsValid() {
		add("to %s", r.Dst)
	}
	if r.FwMark != 0 {
		add("fwmark %#x/%#x", r.FwMark, r.FwMask)
	}
	if r.IIF != "" {
		add("iif %s", r.IIF)
	}
	if r.OIF != "" {
		add("oif %s", r.OIF)
	}
	if r.IPProto != 0 {
		add("ipproto %d", r.IPProto)
	}
	if r.SPort != nil {
		add("sport %d-%d", r.SPort.From, r.SPort.To)
	}
	if r.DPort != nil {
		add("dport %d-%d", r.DPort.From, r.DPort.To)
	}
	if r.UIDRange != nil {
		add("uidrange %d-%d", r.UIDRange.From, r.UIDRange.To)
	}
	switch {
	case r.L3MDev:
		add("lookup of the VRF's table")
	case r.Action == "lookup":
		add("lookup %d", r.Table)
	case r.Action == "goto":
		add("goto %d", r.Goto)
	default:
		add("%s", r.Action)
	}
	return strings.Join(w, " ")
}
