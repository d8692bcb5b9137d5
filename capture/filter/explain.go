package filter

import (
	"fmt"
	"strings"
)

// Explain says in words, one test a line, what an expression was understood as.
func (f *Filter) Explain() string {
	if f == nil {
		return "every packet"
	}
	var b strings.Builder
	explain(&b, f.root, 0)
	return strings.TrimRight(b.String(), "\n")
}

func line(b *strings.Builder, depth int, format string, args ...any) {
	b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(b, format+"\n", args...)
}

func explain(b *strings.Builder, n node, depth int) {
	switch n := n.(type) {
	case *and:
		line(b, depth, "all of")
		for _, x := range flatAnd(n) {
			explain(b, x, depth+1)
		}
	case *or:
		line(b, depth, "any of")
		for _, x := range flatOr(n) {
			explain(b, x, depth+1)
		}
	case *not:
		line(b, depth, "not")
		explain(b, n.a, depth+1)
	case *within:
		line(b, depth, "in the innermost headers")
		explain(b, n.a, depth+1)
	case *linkType:
		line(b, depth, "%s%s", etherName(n.proto), n.shift)
	case *field:
		mask := ""
		if n.mask != 0 {
			mask = fmt.Sprintf(" & 0x%x", n.mask)
		}
		line(b, depth, "%d bytes at %d of the packet%s %s 0x%x%s", n.size, n.off, mask, n.op, n.val, n.shift)
	case *addr6:
		line(b, depth, "IPv6 address at %d is %x under %x", n.off, n.addr, n.mask)
	case *mac:
		line(b, depth, "hardware address at %d is % x", n.off, n.addr)
	case *port4:
		line(b, depth, "port at %d behind the IPv4 header is %d to %d", n.off, n.from, n.to)
	case *tagged:
		line(b, depth, "a VLAN tag%s%s", number2(n.id), n.shift)
	case *label:
		line(b, depth, "an MPLS label%s%s", number2(n.id), n.shift)
	case *length:
		line(b, depth, "length %s %d", n.op, n.val)
	case *direction:
		line(b, depth, "%s by the interface", map[Dir]string{In: "received", Out: "sent"}[n.want])
	case *vni:
		line(b, depth, "in a VXLAN or Geneve tunnel with VNI %d", n.id)
	case *encap:
		line(b, depth, "in a tunnel of type %s", n.typ)
	case *named:
		line(b, depth, "an address of %d%s", len(n.addrs), map[bool]string{true: ", or captured in its namespace"}[n.id != ""])
	case *relation:
		line(b, depth, "a comparison of bytes: %s", n.op)
		if n.when != nil {
			explain(b, n.when, depth+1)
		}
	case *isEthernet:
		line(b, depth, "an Ethernet header")
	case *group:
		line(b, depth, "sent to a group (multicast or broadcast)")
	case all:
		line(b, depth, "every packet")
	default:
		line(b, depth, "no packet")
	}
}

func number2(id int) string {
	if id < 0 {
		return ""
	}
	return fmt.Sprintf(" %d", id)
}

func (s shift) String() string {
	out := ""
	if s.tags > 0 {
		out = fmt.Sprintf(", after %d VLAN tags", s.tags/4)
	}
	if s.labels > 0 {
		out += fmt.Sprintf(", after %d MPLS labels", s.labels)
	}
	return out
}

func flatAnd(n node) []node {
	if x, ok := n.(*and); ok {
		return append(flatAnd(x.a), flatAnd(x.b)...)
	}
	return []node{n}
}

func flatOr(n node) []node {
	if x, ok := n.(*or); ok {
		return append(flatOr(x.a), flatOr(x.b)...)
	}
	return []node{n}
}

func etherName(p uint16) string {
	switch p {
	case 0x800:
		return "IPv4"
	case 0x86dd:
		return "IPv6"
	case 0x806:
		return "ARP"
	case 0x8035:
		return "RARP"
	}
	return fmt.Sprintf("EtherType 0x%04x", p)
}
