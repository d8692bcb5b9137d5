package topo

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// narrowNums are the ranges that are in both lists; nil is everything.
func narrowNums(have []snapshot.NfNum, values []snapshot.NfValue) []snapshot.NfNum {
	var out []snapshot.NfNum
	for _, v := range values {
		if v.Num == nil {
			continue
		}
		if have == nil {
			out = append(out, *v.Num)
			continue
		}
		for _, h := range have {
			if from, to := max(h.From, v.Num.From), min(h.To, v.Num.To); from <= to {
				out = append(out, snapshot.NfNum{From: from, To: to})
			}
		}
	}
	return out
}

// narrowAddrs are the networks that are in both lists; nil is everything. Of a range the first address stands for all.
func narrowAddrs(have []netip.Prefix, values []snapshot.NfValue) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range values {
		p := v.Prefix
		switch {
		case v.Addrs != nil:
			p = netip.PrefixFrom(v.Addrs.From, v.Addrs.From.BitLen())
		case v.Masked != nil:
			p = netip.PrefixFrom(v.Masked.Addr, v.Masked.Addr.BitLen())
		}
		if !p.IsValid() {
			continue
		}
		if have == nil {
			out = append(out, p)
			continue
		}
		for _, h := range have {
			switch {
			case !h.Overlaps(p):
			case h.Bits() > p.Bits():
				out = append(out, h)
			default:
				out = append(out, p)
			}
		}
	}
	return out
}

// portBounds are the ports at which what rules say of destination ports may change, sorted: between two of them all ports
// are treated alike. exact is false where a rule computes with ports.
func portBounds(nf *snapshot.Netfilter) (bounds []uint32, exact bool) {
	seen := map[uint32]bool{1: true, 65536: true}
	exact = true
	num := func(n *snapshot.NfNum) {
		if n != nil && n.To <= 65535 {
			seen[uint32(n.From)], seen[uint32(n.To)+1] = true, true
		}
	}
	var value func(v *snapshot.NfValue)
	value = func(v *snapshot.NfValue) {
		num(v.Num)
		for i := range v.Parts {
			value(&v.Parts[i])
		}
	}
	var operand func(o *snapshot.NfOperand)
	operand = func(o *snapshot.NfOperand) {
		if o == nil {
			return
		}
		if (strings.HasSuffix(o.Key, " dport") || o.Base == "transport") && (o.Mask != "" || o.Xor != "" || o.Shift != 0 || o.Mod != 0) || o.Kind == "hash" {
			exact = false
		}
		for i := range o.Parts {
			operand(&o.Parts[i])
		}
	}
	for i := range nf.Tables {
		t := &nf.Tables[i]
		for j := range t.Sets {
			for k := range t.Sets[j].Elements {
				value(&t.Sets[j].Elements[k].Key)
			}
		}
		for j := range t.Chains {
			for k := range t.Chains[j].Rules {
				for e := range t.Chains[j].Rules[k].Exprs {
					x := &t.Chains[j].Rules[k].Exprs[e]
					for m := range x.Matches {
						operand(&x.Matches[m].Left)
						operand(x.Matches[m].Right)
						for v := range x.Matches[m].Values {
							value(&x.Matches[m].Values[v])
						}
					}
					if x.Map != nil {
						operand(&x.Map.Key)
					}
					if x.Unknown != nil {
						exact = false
					}
				}
			}
		}
	}
	return sortedKeys(seen), exact
}

// clientsAlike are the parts of a network whose addresses all rules treat alike, in order: they begin and end where
// anything that a rule compares an address with does. None where these are many, or where a rule compares under a mask.
func clientsAlike(nf *snapshot.Netfilter, in netip.Prefix) []snapshot.NfAddrs {
	ok := true
	var starts []netip.Addr
	add := func(a netip.Addr) {
		if in.Contains(a) && !slices.Contains(starts, a) {
			starts = append(starts, a)
		}
	}
	var value func(v *snapshot.NfValue)
	value = func(v *snapshot.NfValue) {
		switch {
		case v.Masked != nil:
			ok = false
		case v.Addrs != nil:
			add(v.Addrs.From)
			add(v.Addrs.To.Next())
		case v.Prefix.IsValid():
			add(v.Prefix.Masked().Addr())
			add(lastOf(v.Prefix).Next())
		}
		for i := range v.Parts {
			value(&v.Parts[i])
		}
	}
	add(in.Masked().Addr())
	for i := range nf.Tables {
		t := &nf.Tables[i]
		for j := range t.Sets {
			for k := range t.Sets[j].Elements {
				value(&t.Sets[j].Elements[k].Key)
			}
			ok = ok && !t.Sets[j].Cut
		}
		for j := range t.Chains {
			for k := range t.Chains[j].Rules {
				for e := range t.Chains[j].Rules[k].Exprs {
					for _, m := range t.Chains[j].Rules[k].Exprs[e].Matches {
						ok = ok && (!strings.HasSuffix(m.Left.Key, " saddr") || m.Left.Mask == "")
						for v := range m.Values {
							value(&m.Values[v])
						}
					}
				}
			}
		}
		if !ok || len(starts) > maxClients {
			return nil
		}
	}
	slices.SortFunc(starts, netip.Addr.Compare)
	out := make([]snapshot.NfAddrs, len(starts))
	for i, a := range starts {
		out[i] = snapshot.NfAddrs{From: a, To: lastOf(in)}
		if i+1 < len(starts) {
			out[i].To = starts[i+1].Prev()
		}
	}
	return out
}

const maxClients = 64

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// rangeText writes a range of addresses as an address or a network where it is one.
func rangeText(r snapshot.NfAddrs) string {
	if r.From == r.To {
		return r.From.String()
	}
	for bits := range r.From.BitLen() {
		if p := netip.PrefixFrom(r.From, bits); p.Masked().Addr() == r.From && lastOf(p) == r.To {
			return p.String()
		}
	}
	return r.From.String() + "-" + r.To.String()
}
