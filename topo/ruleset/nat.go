package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

func queueName(q *snapshot.NfNum) string {
	if q == nil {
		return "0"
	}
	if q.From == q.To {
		return strconv.FormatUint(q.From, 10)
	}
	return fmt.Sprintf("%d-%d", q.From, q.To)
}

// setAddr writes an address into the packet without conntrack knowing (stateless translation).
func (m *machine) setAddr(a *netip.Addr, f Fields, v val, did string) outcome {
	ip, ok := v.ip()
	if !ok {
		m.p.open(f)
		return outcome{did: did}
	}
	*a = ip
	m.p.Known |= f
	m.reroute = true
	return outcome{did: did + " " + ip.String()}
}

// nat compiles a translation. It ends the chain: nf_nat_setup_info's NF_ACCEPT is the rule's verdict.
func (t *table) nat(n *snapshot.NfNAT, xt *snapshot.NfXT) []op {
	addr, port := always(none), always(none)
	switch {
	case n.AddrFrom != nil:
		addr = t.operand(n.AddrFrom)
	case n.AddrTo.IsValid() && n.AddrTo != n.Addr:
		addr = always(opened) // one of a range, by a hash
	case n.Addr.IsValid():
		addr = always(address(n.Addr))
	}
	if n.PortFrom != nil {
		port = t.operand(n.PortFrom)
	}
	return []op{{do: func(m *machine) outcome {
		if n.Kind == "tproxy" {
			// xt_TPROXY drops and nft_tproxy does not match where no socket takes it: which sockets there are is not described.
			return outcome{kind: lost, why: "whether a socket takes what tproxy gives it is not known"}
		}
		if n.Family != "" && n.Family != m.p.Family {
			return outcome{kind: mismatch}
		}
		return m.translate(n, addr(m), port(m))
	}}}
}

func (m *machine) translate(n *snapshot.NfNAT, addr, port val) outcome {
	p := &m.p
	src := n.Kind == "snat" || n.Kind == "masquerade" || n.Kind == "netmap" && (m.at.Hook == "postrouting" || m.at.Hook == "input")
	if addr.kind == kParts && len(addr.parts) == 2 { // "dnat to … map { … : 10.0.0.1 . 80 }"
		addr, port = addr.parts[0], addr.parts[1]
	}
	a, f := p.Dst, FDst
	if src {
		a, f = p.Src, FSrc
	}
	known := p.Says(f)
	switch n.Kind {
	case "masquerade":
		if !p.Says(FOut) {
			known = false
			break
		}
		next := p.NextHop
		if !next.IsValid() || p.Family == "ip6" { // IPv6 asks for a source to the destination itself
			next = p.Dst
		}
		if a, known = m.env.Masquerade(p.Out, next); known && !a.IsValid() {
			return outcome{kind: drop, did: "masquerade without an address"}
		}
	case "redirect":
		a, known = m.redirect()
		if known && !a.IsValid() {
			return outcome{kind: drop, did: "redirect without an address"}
		}
	case "netmap":
		a, known = netmap(a, n.Prefix), known && n.Prefix.IsValid()
	default:
		switch addr.kind {
		case kAddr:
			a, known = addr.addr, true
		case kNone: // ports alone
			if n.AddrFrom != nil {
				return outcome{kind: mismatch}
			}
		default:
			known = false
		}
	}
	m.translated = true
	before := *p
	m.natPort(n, port, src)
	if !known {
		p.open(f)
	} else if src {
		p.Src, p.Known = a, p.Known|FSrc
	} else {
		if p.Dst != a {
			m.reroute = true
		}
		p.Dst, p.Known = a, p.Known|FDst
	}
	// What is translated to what it is already does not count as translated (nf_nat_setup_info).
	if p.Src != before.Src || p.Dst != before.Dst || p.Sport != before.Sport || p.Dport != before.Dport || p.Known&before.Known != before.Known {
		if src {
			p.CtStatus |= CtSNAT
		} else {
			p.CtStatus |= CtDNAT
		}
	}
	return outcome{kind: accept, did: m.translation(n.Kind, src, known)}
}

func (m *machine) translation(kind string, src, known bool) string {
	p := &m.p
	if !known {
		return kind + " to an address not known"
	}
	a, port, f := p.Dst, p.Dport, FDport
	if src {
		a, port, f = p.Src, p.Sport, FSport
	}
	if p.Says(f) {
		return kind + " to " + netip.AddrPortFrom(a, port).String()
	}
	return kind + " to " + a.String()
}

// natPort sets the port. Without one in the rule the packet keeps its own where that is free, which a new connection's is
// taken to be; of a range it stays where it is in it (nf_nat_l4proto_unique_tuple).
func (m *machine) natPort(n *snapshot.NfNAT, port val, src bool) {
	p := &m.p
	if !HasPorts(p.Proto) {
		return
	}
	at, f := &p.Dport, FDport
	if src {
		at, f = &p.Sport, FSport
	}
	from, to := n.Port, max(n.Port, n.PortTo)
	if num, open, ok := port.number(); ok && open == 0 {
		from, to = uint16(num), uint16(num)
	} else if port.kind == kOpen {
		p.open(f)
		return
	}
	random := slices.Contains(n.Flags, "random") || slices.Contains(n.Flags, "fully-random")
	switch {
	case from == 0 && (random && src):
		p.open(f)
	case from == 0:
	case n.PortBase != 0 && p.Says(f):
		*at = from + (*at - n.PortBase)
	case from == to:
		*at = from
		p.Known |= f
	case random || !p.Says(f) || *at < from || *at > to:
		p.open(f)
	}
}

// redirect is where nf_nat_redirect.c sends a packet: to the loopback address what the namespace sends itself, else to the
// address of the interface that it came through.
func (m *machine) redirect() (netip.Addr, bool) {
	if m.at.Hook == "output" {
		if m.p.Family == "ip6" {
			return netip.IPv6Loopback(), true
		}
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	if !m.p.Says(FIn) {
		return netip.Addr{}, false
	}
	return m.env.Redirect(m.p.In, m.p.Family, m.p.Dst)
}

// netmap puts a's host bits into a network.
func netmap(a netip.Addr, to netip.Prefix) netip.Addr {
	if a.BitLen() != to.Addr().BitLen() {
		return a
	}
	x, y := a.AsSlice(), to.Addr().AsSlice()
	for i := range x {
		host := byte(0xff)
		for bit := range 8 {
			if i*8+bit < to.Bits() {
				host &^= 0x80 >> bit
			}
		}
		x[i] = y[i]&^host | x[i]&host
	}
	out, _ := netip.AddrFromSlice(x)
	return out
}
