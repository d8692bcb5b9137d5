package text

import (
	"encoding/json"
	"time"

	"github.com/nscope/nscope/capture/packet"
)

// object is the JSON form: what is not there is absent.
type object struct {
	TS       string      `json:"ts"`
	NS       string      `json:"ns,omitempty"`
	If       string      `json:"if,omitempty"`
	Workload string      `json:"workload,omitempty"`
	Dir      string      `json:"dir,omitempty"`
	Len      int         `json:"len"`
	CapLen   int         `json:"caplen,omitempty"`
	Link     string      `json:"link"`
	VLANs    []int       `json:"vlans,omitempty"`
	MPLS     []int       `json:"mpls,omitempty"`
	Outer    *endpoints  `json:"outer,omitempty"`
	Tunnel   *tunnel     `json:"tunnel,omitempty"`
	Via      []tunnelled `json:"via,omitempty"` // the tunnels between, of a packet that is nested twice
	endpoints
	SrcName string   `json:"src_name,omitempty"`
	DstName string   `json:"dst_name,omitempty"`
	Flags   string   `json:"flags,omitempty"`
	Summary string   `json:"summary"`
	Status  []string `json:"status,omitempty"`
	Drop    uint64   `json:"drop,omitempty"`
}

type endpoints struct {
	Src   string `json:"src,omitempty"`
	Dst   string `json:"dst,omitempty"`
	Proto string `json:"proto,omitempty"`
	Sport uint16 `json:"sport,omitempty"`
	Dport uint16 `json:"dport,omitempty"`
}

type tunnel struct {
	Type string  `json:"type"`
	VNI  *uint32 `json:"vni,omitempty"`
	Port uint16  `json:"port,omitempty"`
	// Policy is the group of VXLAN's policy extension; GPE tells of its generic protocol extension.
	Policy *uint16 `json:"policy,omitempty"`
	GPE    bool    `json:"gpe,omitempty"`
}

type tunnelled struct {
	endpoints
	Tunnel tunnel `json:"tunnel"`
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

func endpointsOf(h *packet.Head) endpoints {
	var e endpoints
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

func tunnelOf(t *packet.Tunnel) tunnel {
	out := tunnel{Type: t.Type.String(), Port: t.Port, GPE: t.GPE}
	if t.GBP {
		p := t.Policy
		out.Policy = &p
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
	o := object{TS: time.Unix(0, e.Nanos).UTC().Format("2006-01-02T15:04:05.000000000Z"), Dir: e.Dir.String(), Len: e.Len, Link: linkNames[e.Link], endpoints: endpointsOf(h)}
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
			o.Via = append(o.Via, tunnelled{endpointsOf(&e.Heads[i]), tunnelOf(&e.Tunnels[i])})
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
