package filter

import (
	"github.com/nscope/nscope/capture/packet"
)

// arith is an arithmetic expression of 32-bit numbers.
type arith interface {
	value(v *view) uint32
}

type (
	constant uint32
	lenOf    struct{}
	unary    struct{ a arith }
	binary2  struct {
		op   byte // + - * / % & | ^ and l, r for shifts
		a, b arith
	}
	// index loads size bytes at an offset behind a header.
	index struct {
		shift
		header headerKind
		off    arith
		size   int
	}
)

type headerKind uint8

const (
	ofLink    headerKind = iota // the link layer's
	ofPayload                   // what the link layer carries
	ofV4                        // behind an IPv4 header
	ofV6                        // behind an IPv6 header without extensions
)

func (n constant) value(*view) uint32 { return uint32(n) }
func (lenOf) value(v *view) uint32    { return uint32(v.p.Len) }
func (n *unary) value(v *view) uint32 { return -n.a.value(v) }

func (n *binary2) value(v *view) uint32 {
	a := n.a.value(v)
	if v.bad {
		return 0
	}
	b := n.b.value(v)
	if v.bad {
		return 0
	}
	if (n.op == '/' || n.op == '%') && b == 0 {
		v.bad = true // as the BPF machine does
		return 0
	}
	return calc(n.op, a, b)
}

// calc is the BPF machine's arithmetic; a divisor is not 0. Shifts by 32 and more give 0.
func calc(op byte, a, b uint32) uint32 {
	switch op {
	case '+':
		return a + b
	case '-':
		return a - b
	case '*':
		return a * b
	case '/':
		return a / b
	case '%':
		return a % b
	case '&':
		return a & b
	case '|':
		return a | b
	case '^':
		return a ^ b
	case 'l':
		return a << b
	}
	return a >> b
}

func (n *index) value(v *view) uint32 {
	off := n.off.value(v)
	if v.bad {
		return 0
	}
	at := int64(0)
	switch n.header {
	case ofPayload:
		at = int64(v.payload(n.shift))
	case ofV6:
		at = int64(v.payload(n.shift)) + 40
	case ofV4:
		at = int64(v.payload(n.shift))
		off += v.load(int(at), 1) & 15 * 4 // in the machine's register: it wraps
	}
	at += int64(off)
	if _, folded := n.off.(constant); folded && n.header != ofV4 {
		at = int64(uint32(at)) // libpcap's optimizer adds two constants in 32 bits
	}
	if v.bad || at > int64(len(v.data)) {
		v.bad = true
		return 0
	}
	return v.load(int(at), n.size)
}

// relation compares two arithmetic expressions, if the headers that they look at are there.
type relation struct {
	when node // nil: always
	a, b arith
	op   string
}

func (n *relation) eval(v *view) bool {
	if n.when != nil && !n.when.eval(v) || v.bad {
		return false
	}
	a := n.a.value(v)
	if v.bad {
		return false
	}
	b := n.b.value(v)
	return !v.bad && compare(a, n.op, b)
}

// names of offsets and values, of pcap-filter(7).
var constants = map[string]uint32{
	"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
	"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	"icmp6-destinationrunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4, "icmp6-echo": 128,
	"icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132,
	"icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140, "icmp6-ineighbordiscoverysolicit": 141,
	"icmp6-ineighbordiscoveryadvert": 142, "icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144,
	"icmp6-homeagentdiscoveryreply": 145, "icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148,
	"icmp6-certpathadvert": 149, "icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152, "icmp6-multicastrouterterm": 153,
	"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
}

// transports are the protocols by number of what "proto [ … ]" reads behind an IPv4 header.
var transports = map[string]uint32{
	"tcp": packet.TCP, "udp": packet.UDP, "icmp": packet.ICMP, "igmp": packet.IGMP, "sctp": packet.SCTP, "igrp": 9, "pim": 103, "vrrp": 112, "carp": 112,
}
