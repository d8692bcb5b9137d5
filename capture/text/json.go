package text

import (
	"encoding/json"
	"time"

	"github.com/nscope/nscope/capture/packet"
)

// Object is a packet in JSON; what is not there is absent. Of a packet in a tunnel the addresses, ports, flags and names are those of what is in it.
type Object struct {
	TS       string `json:"ts"`                 // when it came by: RFC 3339, UTC, nanoseconds
	NS       string `json:"ns,omitempty"`       // inode of the namespace
	If       string `json:"if,omitempty"`       // interface
	Workload string `json:"workload,omitempty"` // name of the container whose namespace it is
	Dir      string `json:"dir,omitempty"`      // `in` or `out`: received or sent by the interface
	Len      int    `json:"len"`                // bytes on the wire
	CapLen   int    `json:"caplen,omitempty"`   // bytes that were captured, where fewer
	Link     string `json:"link"`               // what the frame begins with: `ethernet`, `raw` (IP), `sll`, `sll2`, `null`, `loop`
	VLANs    []int  `json:"vlans,omitempty"`    // 802.1q and 802.1ad ids, outermost first
	MPLS     []int  `json:"mpls,omitempty"`     // MPLS labels, outermost first
	// Outer are the outermost ends of what is in a tunnel.
	Outer *Endpoints `json:"outer,omitempty"`
	// Tunnel is the innermost one.
	Tunnel *Encap `json:"tunnel,omitempty"`
	// Via are the tunnels around it, of a packet that is nested twice, outermost first.
	Via []Nested `json:"via,omitempty"`
	Endpoints
	SrcName string `json:"src_name,omitempty"` // who has the source's address, seen from where it was captured
	DstName string `json:"dst_name,omitempty"` // who has the destination's
	Flags   string `json:"flags,omitempty"`    // of TCP: `F` FIN, `S` SYN, `R` RST, `P` PSH, `.` ACK, `U` URG, `E` ECE, `W` CWR
	Summary string `json:"summary"`            // as in a line of text
	// Status is what is odd: truncated, malformed, bad-ip-checksum, bad-checksum, fragment, more-fragments; or checksum-offloaded: the
	// sender left it to the device.
	Status []string `json:"status,omitempty"`
	// Drop is how many packets were lost just before this one, because nobody fetched them from the kernel in time: of all interfaces that
	// were captured together in the namespace, in a file of this one.
	Drop uint64 `json:"drop,omitempty"`
}

// Endpoints are the two ends in one IP header, and in what follows it.
type Endpoints struct {
	Src   string `json:"src,omitempty"`
	Dst   string `json:"dst,omitempty"`
	Proto string `json:"proto,omitempty"` // `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `esp` … or its number; `arp`
	Sport uint16 `json:"sport,omitempty"` // port of the source
	Dport uint16 `json:"dport,omitempty"` // port of the destination
}

// Encap is a tunnel's header.
type Encap struct {
	Type string  `json:"type"`             // vxlan, flannel-udp, geneve, gre, ipip or esp
	VNI  *uint32 `json:"vni,omitempty"`    // network identifier of VXLAN and Geneve, key of GRE, SPI of ESP
	Port uint16  `json:"port,omitempty"`   // UDP port that it was recognised by
	GBP  *uint16 `json:"policy,omitempty"` // group of VXLAN's policy extension
	GPE  bool    `json:"gpe,omitempty"`    // VXLAN's generic protocol extension
}

// Nested is a tunnel with the ends in the header before it.
type Nested struct {
	Endpoints
	Tunnel Encap `json:"tunnel"` // what comes after that header
}

var linkNames = map[packet.LinkType]string{
	packet.Ethernet: "ethernet", packet.RawIP: "raw", packet.RawIPv4: "raw", packet.RawIPv6: "raw", packet.Null: "null", packet.Loop: "loop", packet.LinuxSLL: "sll", packet.LinuxSLL2: "sll2",
}

var statusNames = []struct {
	bit  packet.Status
	name string
}{
	{packet.Truncated, "truncated"}, {packet.Malformed, "malformed"}, {packet.BadIPSum, "bad-ip-checksum"}, {packet.BadL4Sum, "bad-checksum"}, {packet.Offloaded, "checksum-offloaded"},
	{packet.Fragment, "fragment"}, {packet.MoreFrags, "more-fragments"},
}

func endpointsOf(h *packet.Head) Endpoints {
	var e Endpoints
	if h.Src.IsValid() {
		e.Src, e.Dst = h.Src.String(), h.Dst.String()
	}
	switch {
	case h.Version != 0:
		e.Proto = protoKeys[h.Proto]
		if e.Proto == "" {
			e.Proto = string(appendUint(nil, uint64(h.Proto)))
		}
	case h.EtherType == packet.TypeARP:
		e.Proto = "arp"
	case h.EtherType == packet.TypeRARP:
		e.Proto = "rarp"
	}
	if h.HasPorts() {
		e.Sport, e.Dport = h.SrcPort, h.DstPort
	}
	return e
}

var protoKeys = map[uint8]string{packet.TCP: "tcp", packet.UDP: "udp", packet.UDPLite: "udplite", packet.ICMP: "icmp", packet.ICMPv6: "icmpv6", packet.SCTP: "sctp", packet.ESP: "esp", packet.AH: "ah", packet.GRE: "gre", packet.IPIP: "ipip", packet.IGMP: "igmp"}

func tunnelOf(t *packet.Tunnel) Encap {
	out := Encap{Type: t.Type.String(), Port: t.Port, GPE: t.GPE}
	if t.GBP {
		p := t.Policy
		out.GBP = &p
	}
	if t.HasVNI {
		v := t.VNI
		out.VNI = &v
	}
	return out
}

// JSON appends the packet as one object and a newline.
func (l *Lines) JSON(b []byte, e *Event) ([]byte, error) {
	h := e.Inner()
	o := Object{TS: time.Unix(0, e.Nanos).UTC().Format("2006-01-02T15:04:05.000000000Z"), Dir: e.Dir.String(), Len: e.Len, Link: linkNames[e.Link], Endpoints: endpointsOf(h)}
	if len(e.Data) < e.Len {
		o.CapLen = len(e.Data)
	}
	if p := e.Place; p != nil {
		o.NS, o.If, o.Workload = p.Netns, p.Link, p.Workload
	}
	for i := range h.NTags {
		o.VLANs = append(o.VLANs, int(h.VLAN(i)))
	}
	for i := range h.NLabels {
		o.MPLS = append(o.MPLS, int(e.Label(h, i)))
	}
	if e.NT > 0 {
		outer, t := endpointsOf(e.Outer()), tunnelOf(&e.Tunnels[e.NT-1])
		o.Outer, o.Tunnel = &outer, &t
		for i := range e.NT - 1 {
			o.Via = append(o.Via, Nested{endpointsOf(&e.Heads[i]), tunnelOf(&e.Tunnels[i])})
		}
	}
	o.SrcName, o.DstName = e.name(h.Src), e.name(h.Dst)
	if h.Proto == packet.TCP {
		if t := e.Bytes(h.L4, h.L4+14); h.L4 >= 0 && len(t) == 14 {
			for i := range 8 {
				if t[13]&(1<<i) != 0 {
					o.Flags += tcpFlags[i : i+1]
				}
			}
		}
	}
	o.Drop = e.Drop
	o.Summary = string(l.Summary(nil, e))
	s := e.Status()
	for _, n := range statusNames {
		if s&n.bit != 0 {
			o.Status = append(o.Status, n.name)
		}
	}
	out, err := json.Marshal(o)
	if err != nil {
		return b, err
	}
	return append(append(b, out...), '\n'), nil
}
