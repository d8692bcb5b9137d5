package ruleset

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// load gives an operand's value for the packet that a machine has at the moment.
type load func(m *machine) val

func always(v val) load { return func(*machine) val { return v } }

// operand compiles o.
func (t *table) operand(o *snapshot.NfOperand) load {
	get := t.bare(o)
	if o.Mask == "" && o.Xor == "" && o.Shift == 0 {
		return get
	}
	return func(m *machine) val { return get(m).apply(o) }
}

func (t *table) bare(o *snapshot.NfOperand) load {
	switch o.Kind {
	case "payload":
		return payload(o)
	case "meta":
		return meta(o.Key)
	case "ct":
		return ctLoad(o)
	case "fib":
		return fib(o.Key)
	case "rt":
		return always(opened)
	case "exthdr":
		return exthdr(o.Key)
	case "tcpopt":
		return onlyOf(TCP)
	case "sctp chunk":
		return onlyOf(SCTP)
	case "dccp option":
		return onlyOf(DCCP)
	case "and", "or", "xor":
		if len(o.Parts) == 2 {
			return bitwise(o.Kind, t.operand(&o.Parts[0]), t.operand(&o.Parts[1]))
		}
	case "concat":
		parts := make([]load, len(o.Parts))
		for i := range o.Parts {
			parts[i] = t.operand(&o.Parts[i])
		}
		return func(m *machine) val {
			v := val{kind: kParts, parts: make([]val, len(parts))}
			for i, get := range parts {
				if v.parts[i] = get(m); v.parts[i].kind == kNone {
					return none
				}
			}
			return v
		}
	case "xt":
		return xtest(o)
	}
	if o.Map != "" && len(o.Parts) > 0 {
		return t.mapped(o)
	}
	return always(opened)
}

// onlyOf is something of a protocol's packets that descriptions do not tell.
func onlyOf(proto uint8) load {
	return func(m *machine) val {
		if m.p.Says(FProto) && m.p.Proto != proto {
			return none
		}
		return opened
	}
}

// bitwise takes two numbers together.
func bitwise(kind string, left, right load) load {
	return func(m *machine) val {
		a, b := left(m), right(m)
		if a.kind == kNone || b.kind == kNone {
			return none
		}
		x, open, ok := a.number()
		y, open2, ok2 := b.number()
		if !ok || !ok2 || open|open2 != 0 {
			return opened
		}
		switch kind {
		case "and":
			x &= y
		case "or":
			x |= y
		default:
			x ^= y
		}
		return val{kind: kNum, n: x, bits: a.bits}
	}
}

// mapped gives what a map has for the value of its first part.
func (t *table) mapped(o *snapshot.NfOperand) load {
	set := t.set(o.Map)
	key := t.operand(&o.Parts[0])
	return func(m *machine) val {
		k := key(m)
		if set == nil || k.kind == kOpen {
			return opened
		}
		if k.kind == kNone {
			return none
		}
		e, hit := set.find(&k)
		switch {
		case hit == No:
			return none
		case hit == Maybe || e.Value == nil:
			return opened
		}
		return constant(e.Value)
	}
}

// constant is a constant of a rule as a value.
func constant(c *snapshot.NfValue) val {
	switch {
	case c.Parts != nil:
		v := val{kind: kParts}
		for i := range c.Parts {
			v.parts = append(v.parts, constant(&c.Parts[i]))
		}
		return v
	case c.Prefix.IsValid() && c.Prefix.IsSingleIP():
		return address(c.Prefix.Addr())
	case c.Num != nil && c.Num.From == c.Num.To:
		return num(c.Num.From, 0)
	case c.MAC != "":
		if b, ok := macBytes(c.MAC); ok {
			return raw(b)
		}
	case c.Text != "":
		return text(c.Text)
	}
	return opened
}

func said(p *Packet, f Fields, v val) val {
	if !p.Says(f) {
		return opened
	}
	return v
}

func meta(key string) load {
	switch key {
	case "iifname":
		return func(m *machine) val { return said(&m.p, FIn, text(m.p.In.Name)) }
	case "oifname":
		return func(m *machine) val { return said(&m.p, FOut, text(m.p.Out.Name)) }
	case "iif":
		return func(m *machine) val { return said(&m.p, FIn, name(uint64(m.p.In.Index), m.p.In.Name)) }
	case "oif":
		return func(m *machine) val { return said(&m.p, FOut, name(uint64(m.p.Out.Index), m.p.Out.Name)) }
	case "iifgroup":
		return func(m *machine) val {
			return ifaceOf(&m.p, FIn, &m.p.In, func(i *Iface) val { return num(uint64(i.Group), 0) })
		}
	case "oifgroup":
		return func(m *machine) val {
			return ifaceOf(&m.p, FOut, &m.p.Out, func(i *Iface) val { return num(uint64(i.Group), 0) })
		}
	case "iiftype":
		return func(m *machine) val {
			if m.p.In == (Iface{}) {
				return opened // kernels differ: by the frame's device, or no match
			}
			return ifaceOf(&m.p, FIn, &m.p.In, ifaceType)
		}
	case "oiftype":
		return func(m *machine) val {
			if m.p.Out == (Iface{}) {
				return opened // kernels differ: by the frame's device, or no match
			}
			return ifaceOf(&m.p, FOut, &m.p.Out, ifaceType)
		}
	case "iifkind":
		return func(m *machine) val { return ifaceOf(&m.p, FIn, &m.p.In, func(i *Iface) val { return text(i.Kind) }) }
	case "oifkind":
		return func(m *machine) val { return ifaceOf(&m.p, FOut, &m.p.Out, func(i *Iface) val { return text(i.Kind) }) }
	case "ibrname", "ibridgename":
		return func(m *machine) val { return bridgeName(m, m.p.InBridge) }
	case "obrname", "obridgename":
		return func(m *machine) val { return bridgeName(m, m.p.OutBridge) }
	case "mark":
		return func(m *machine) val { return said(&m.p, FMark, num(uint64(m.p.Mark), 0)) }
	case "priority":
		return func(m *machine) val { return said(&m.p, FPriority, num(uint64(m.p.Priority), 0)) }
	case "length":
		return func(m *machine) val { return said(&m.p, FLength, num(uint64(m.p.Length), 0)) }
	case "pkttype":
		return func(m *machine) val { return said(&m.p, FPktType, pktType(m.p.PktType)) }
	case "protocol":
		return func(m *machine) val { return num(etherType(m.p.Family), 16) }
	case "nfproto":
		return func(m *machine) val { return nfproto(m.at.Family) }
	case "l4proto":
		return func(m *machine) val {
			if m.p.Family == "arp" {
				return none
			}
			return said(&m.p, FProto, num(uint64(m.p.Proto), 8))
		}
	case "skuid":
		return func(m *machine) val { return owner(m, FUID, m.p.UID) }
	case "skgid":
		return func(m *machine) val { return owner(m, FGID, m.p.GID) }
	case "secpath":
		return func(m *machine) val { return said(&m.p, FXfrm, num(0, 0)) }
	}
	return always(opened)
}

func ifaceOf(p *Packet, f Fields, i *Iface, get func(*Iface) val) val {
	switch {
	case !p.Says(f):
		return opened
	case *i == (Iface{}):
		return none
	}
	return get(i)
}

func ifaceType(i *Iface) val {
	if i.Type == 0 {
		return opened
	}
	return num(uint64(i.Type), 0)
}

func bridgeName(m *machine, s string) val {
	switch {
	case m.at.Family != "bridge":
		return opened
	case s == "":
		return none
	}
	return text(s)
}

// owner is the user or group of the socket that sent a packet. It is lost where the packet loops back; one that comes in
// has that of a connected socket from the hook input on, which the first packet of a connection has not.
func owner(m *machine, f Fields, id uint32) val {
	switch {
	case m.p.Local && (m.at.Hook == "output" || m.at.Hook == "postrouting" || m.at.Hook == "egress"):
		return said(&m.p, f, num(uint64(id), 0))
	case m.at.Hook == "input" && !(m.p.Says(FCt) && m.p.Ct == CtNew):
		return opened
	}
	return none
}

func pktType(n uint8) val {
	names := [...]string{"host", "broadcast", "multicast", "other", "outgoing"}
	if int(n) < len(names) {
		return name(uint64(n), names[n])
	}
	return num(uint64(n), 0)
}

func etherType(family string) uint64 {
	switch family {
	case "ip6":
		return 0x86dd
	case "arp":
		return 0x0806
	}
	return 0x0800
}

func nfproto(family string) val {
	switch family {
	case "ip":
		return name(2, "ipv4")
	case "ip6":
		return name(10, "ipv6")
	case "arp":
		return name(3, "arp")
	case "netdev":
		return name(5, "netdev")
	case "bridge":
		return name(7, "bridge")
	}
	return opened
}

func exthdr(key string) load {
	return func(m *machine) val {
		if m.p.Family == "ip" {
			return none
		}
		if strings.HasPrefix(key, "frag") && m.p.Says(FFrag) {
			return none // a description with a fragment field is of a whole packet
		}
		return opened
	}
}

// ctLoad gives what conntrack knows. Before it has seen the packet there is only a state: invalid, or untracked.
func ctLoad(o *snapshot.NfOperand) load {
	has := func(f Fields, get func(p *Packet) val) load {
		return func(m *machine) val {
			if !m.p.Tracked {
				return none
			}
			if !m.p.Says(f) {
				return opened
			}
			return get(&m.p)
		}
	}
	switch o.Key {
	case "state":
		return func(m *machine) val {
			switch {
			case m.p.Untracked:
				return num(CtUntracked, 0)
			case !m.p.Tracked:
				return num(CtInvalid, 0)
			}
			return said(&m.p, FCt, num(uint64(m.p.Ct), 0))
		}
	case "status":
		return has(FCtStatus, func(p *Packet) val { return num(uint64(p.CtStatus), 0) })
	case "mark":
		return has(FCtMark, func(p *Packet) val { return num(uint64(p.CtMark), 0) })
	case "direction":
		return has(FCtDir, func(p *Packet) val {
			if p.Reply {
				return name(1, "reply")
			}
			return name(0, "original")
		})
	case "protocol":
		return has(FProto, func(p *Packet) val { return num(uint64(p.Proto), 8) })
	case "l3proto":
		return has(0, func(p *Packet) val { return nfproto(p.Family) })
	case "zone":
		return has(0, func(*Packet) val { return opened })
	case "saddr", "ip saddr", "ip6 saddr", "daddr", "ip daddr", "ip6 daddr", "proto-src", "proto-dst":
		return ctTuple(o, has)
	}
	return has(0, func(*Packet) val { return opened })
}

func ctTuple(o *snapshot.NfOperand, has func(Fields, func(*Packet) val) load) load {
	if o.Dir != "original" && o.Dir != "" {
		return has(0, func(*Packet) val { return opened }) // what a reply has is settled by translation yet to come
	}
	return has(FCtTuple, func(p *Packet) val {
		switch {
		case o.Key == "proto-src":
			return num(uint64(p.Orig.Src.Port()), 16)
		case o.Key == "proto-dst":
			return num(uint64(p.Orig.Dst.Port()), 16)
		case strings.HasSuffix(o.Key, "saddr"):
			return address(p.Orig.Src.Addr())
		}
		return address(p.Orig.Dst.Addr())
	})
}
