package packet_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

// layered is gopacket's preallocated layers behind one parser.
type layered struct {
	eth    layers.Ethernet
	tag    layers.Dot1Q
	arp    layers.ARP
	ip4    layers.IPv4
	ip6    layers.IPv6
	ext    layers.IPv6ExtensionSkipper
	tcp    layers.TCP
	udp    layers.UDP
	sctp   layers.SCTP
	icmp4  layers.ICMPv4
	icmp6  layers.ICMPv6
	parser *gopacket.DecodingLayerParser
	found  []gopacket.LayerType
}

func newLayered() *layered {
	l := &layered{}
	l.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &l.eth, &l.tag, &l.arp, &l.ip4, &l.ip6, &l.ext, &l.tcp, &l.udp, &l.sctp, &l.icmp4, &l.icmp6)
	l.parser.IgnoreUnsupported = true
	return l
}

// pair is one for the outer headers and one for those inside VXLAN: one alone would overwrite what it found.
type pair struct {
	outer, inner *layered
	vxlan        layers.VXLAN
	in           bool
}

func newPair() *pair { return &pair{outer: newLayered(), inner: newLayered()} }

func (p *pair) decode(b []byte) error {
	p.in, p.inner.found = false, p.inner.found[:0]
	if err := p.outer.parser.DecodeLayers(b, &p.outer.found); err != nil {
		return err
	}
	f := p.outer.found
	if len(f) == 0 || f[len(f)-1] != layers.LayerTypeUDP || p.outer.udp.DstPort != 4789 && p.outer.udp.DstPort != 8472 {
		return nil
	}
	if err := p.vxlan.DecodeFromBytes(p.outer.udp.Payload, gopacket.NilDecodeFeedback); err != nil {
		return err
	}
	p.in = true
	return p.inner.parser.DecodeLayers(p.vxlan.Payload, &p.inner.found)
}

// TestSameAsGopacket compares addresses, protocols, ports and VNIs with gopacket's layers: what it decodes, the walker must have found alike.
func TestSameAsGopacket(t *testing.T) {
	p := newPair()
	var d packet.Decoder
	var got packet.Packet
	same, inside := 0, 0
	for i, f := range corpus.New(11).Frames(30000, 0) {
		d.Decode(&got, f.Data, f.WireLen, packet.Ethernet)
		if got.Status()&(packet.Malformed|packet.Truncated) != 0 {
			continue // a length that lies: they differ in what they do about it
		}
		if err := p.decode(f.Data); err != nil {
			continue // an option or a header that gopacket refuses
		}
		if !p.outer.like(t, i, got.Outer()) {
			continue
		}
		same++
		if !p.in {
			continue
		}
		if got.NT == 0 || got.Tunnels[0].Type != packet.VXLAN || got.Tunnels[0].VNI != p.vxlan.VNI || got.Tunnels[0].GBP != p.vxlan.GBPExtension {
			t.Fatalf("frame %d: %+v, gopacket has VNI %d", i, got.Tunnels[0], p.vxlan.VNI)
		}
		if got.N > 1 && p.inner.like(t, i, &got.Heads[1]) {
			inside++
		}
	}
	t.Logf("%d frames alike, %d also inside VXLAN", same, inside)
	if same < 20000 || inside < 500 {
		t.Errorf("only %d frames and %d in VXLAN were compared", same, inside)
	}
}

// like compares what was found with one run of headers, true where there was something to compare.
func (l *layered) like(t *testing.T, frame int, h *packet.Head) bool {
	t.Helper()
	var src, dst netip.Addr
	var proto uint8
	var ports [2]uint16
	ips := 0
	for _, typ := range l.found {
		switch typ {
		case layers.LayerTypeIPv4:
			src, dst = addr(l.ip4.SrcIP), addr(l.ip4.DstIP)
			ips++
		case layers.LayerTypeIPv6:
			src, dst = addr(l.ip6.SrcIP), addr(l.ip6.DstIP)
			ips++
		case layers.LayerTypeTCP:
			proto, ports = packet.TCP, [2]uint16{uint16(l.tcp.SrcPort), uint16(l.tcp.DstPort)}
		case layers.LayerTypeUDP:
			proto, ports = packet.UDP, [2]uint16{uint16(l.udp.SrcPort), uint16(l.udp.DstPort)}
		case layers.LayerTypeSCTP:
			proto, ports = packet.SCTP, [2]uint16{uint16(l.sctp.SrcPort), uint16(l.sctp.DstPort)}
		case layers.LayerTypeICMPv4:
			proto = packet.ICMP
		case layers.LayerTypeICMPv6:
			proto = packet.ICMPv6
		case layers.LayerTypeARP:
			src, dst = netip.AddrFrom4([4]byte(l.arp.SourceProtAddress)), netip.AddrFrom4([4]byte(l.arp.DstProtAddress))
		}
	}
	switch {
	case ips > 1:
		return false // IP in IP, of which the first was overwritten
	case !src.IsValid():
		if h.Src.IsValid() && h.EtherType != packet.TypeRARP && h.NLabels == 0 { // which this parser has not
			t.Errorf("frame %d: %+v, gopacket has no addresses", frame, *h)
		}
		return false
	}
	if h.Src != src || h.Dst != dst {
		t.Errorf("frame %d: %v %v, gopacket has %v %v", frame, h.Src, h.Dst, src, dst)
	}
	if h.FragHdr >= 0 || h.Status&(packet.Fragment|packet.MoreFrags) != 0 {
		return true // it reads ports in any IPv6 fragment, and in no IPv4 one
	}
	if proto != 0 && (h.Proto != proto || h.SrcPort != ports[0] || h.DstPort != ports[1]) {
		t.Errorf("frame %d: protocol %d ports %d %d, gopacket has %d %d", frame, h.Proto, h.SrcPort, h.DstPort, proto, ports)
	}
	if first := l.first(); proto == 0 && h.HasPorts() && first == h.Proto && h.Proto != packet.UDPLite {
		t.Errorf("frame %d: ports %d %d of protocol %d, gopacket has none", frame, h.SrcPort, h.DstPort, h.Proto)
	}
	return true
}

// first is the protocol that the IP header itself names.
func (l *layered) first() uint8 {
	if slices.Contains(l.found, layers.LayerTypeIPv4) {
		return uint8(l.ip4.Protocol)
	}
	return uint8(l.ip6.NextHeader)
}

func addr(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }

// inVXLAN are frames with TCP, UDP or ICMP over IPv4 in VXLAN.
func inVXLAN() (out [][]byte) {
	g := corpus.New(12)
	var d packet.Decoder
	var p packet.Packet
	for len(out) < 512 {
		in := append(append(g.MAC(), g.MAC()...), 8, 0)
		in = append(in, g.IPv4(9)...)
		src, dst := g.Addr4(), g.Addr4()
		udp := g.UDP(src, dst, 40000, 4789, append([]byte{8, 0, 0, 0, 0, 0x10, 1, 0}, in...), false)
		b := append(append(g.MAC(), g.MAC()...), 8, 0, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+len(udp)))
		b = append(append(append(b, 0, 0, 0, 0, 64, 17, 0, 0), src.AsSlice()...), dst.AsSlice()...)
		b = append(b, udp...)
		d.Decode(&p, b, len(b), packet.Ethernet)
		if p.N == 2 && p.Status() == 0 && newPair().decode(b) == nil {
			out = append(out, b)
		}
	}
	return out
}

// BenchmarkDecode compares the walker with gopacket's pair of parsers: headers of a packet in VXLAN, of both.
func BenchmarkDecode(b *testing.B) {
	frames := inVXLAN()
	b.Run("walker", func(b *testing.B) {
		var d packet.Decoder
		var p packet.Packet
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			f := frames[i%len(frames)]
			d.Decode(&p, f, len(f), packet.Ethernet)
		}
	})
	b.Run("gopacket", func(b *testing.B) {
		p := newPair()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := p.decode(frames[i%len(frames)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
