package probe

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var packetMAC = net.HardwareAddr{2, 0, 0, 0, 0, 7}

// TestPackets reads what is made here with gopacket's decoders.
func TestPackets(t *testing.T) {
	decode := func(b []byte, first gopacket.LayerType) gopacket.Packet {
		t.Helper()
		p := gopacket.NewPacket(b, first, gopacket.Default)
		if p.ErrorLayer() != nil {
			t.Fatal(p.ErrorLayer().Error())
		}
		return p
	}
	for _, payload := range []string{"", "x", "payload"} {
		b := appendEcho(nil, false, 0x1234, 0xfffe, []byte(payload))
		icmp := decode(b, layers.LayerTypeICMPv4).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if icmp.Id != 0x1234 || icmp.Seq != 0xfffe || icmp.TypeCode.Type() != 8 || string(icmp.Payload) != payload || onesComplement(b, 0) != 0 {
			t.Errorf("%+v", icmp)
		}
		m, ok := parseEchoMessage(b, false)
		if !ok || m.id != 0x1234 || m.seq != 0xfffe || string(m.payload) != payload {
			t.Errorf("%+v", m)
		}
	}
	sender, target := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, s := range []netip.Addr{sender, {}} {
		b := appendARP(nil, packetMAC, s, target)
		arp := decode(b, layers.LayerTypeARP).Layer(layers.LayerTypeARP).(*layers.ARP)
		want := make([]byte, 4)
		if s.IsValid() {
			want = s.AsSlice()
		}
		if arp.Operation != layers.ARPRequest || !bytes.Equal(arp.SourceHwAddress, packetMAC) || !bytes.Equal(arp.SourceProtAddress, want) || !bytes.Equal(arp.DstProtAddress, target.AsSlice()) {
			t.Errorf("%+v", arp)
		}
	}
	src, dst := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fd00::12:3456")
	for _, s := range []netip.Addr{src, {}} {
		p := decode(appendSolicitation(nil, packetMAC, s, dst), layers.LayerTypeIPv6)
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		ns := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation)
		if ip.HopLimit != 255 || ip.DstIP.String() != "ff02::1:ff12:3456" || !bytes.Equal(ns.TargetAddress, dst.AsSlice()) || (len(ns.Options) == 1) != s.IsValid() {
			t.Errorf("%+v %+v", ip, ns)
		}
		icmp := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		_ = icmp.SetNetworkLayerForChecksum(ip)
		if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
			t.Errorf("checksum: %v %v", err, bad)
		}
	}
	good := advertisementBytes(t)
	a, ok := parseAdvertisement(good)
	if !ok || a.target != dst || !bytes.Equal(a.mac, packetMAC) || !a.override || !a.router || !a.solicited {
		t.Errorf("%+v", a)
	}
	// Not one of these may be taken for an answer.
	for name, spoil := range map[string]func([]byte) []byte{
		"hop limit":  func(b []byte) []byte { b[7] = 254; return b },
		"checksum":   func(b []byte) []byte { b[60]++; return b },
		"cut":        func(b []byte) []byte { return b[:len(b)-1] },
		"not NDP":    func(b []byte) []byte { b[6] = 17; return b },
		"empty":      func(b []byte) []byte { return nil },
		"other type": func(b []byte) []byte { b[40] = 135; return b },
	} {
		if a, ok := parseAdvertisement(spoil(bytes.Clone(good))); ok {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// advertisementBytes is an answer to a solicitation, made by gopacket.
func advertisementBytes(t testing.TB) []byte {
	t.Helper()
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP("fd00::12:3456"), DstIP: net.ParseIP("fe80::1")}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)}
	_ = icmp.SetNetworkLayerForChecksum(ip)
	na := &layers.ICMPv6NeighborAdvertisement{Flags: 0xe0, TargetAddress: net.ParseIP("fd00::12:3456"), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: packetMAC}}}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, icmp, na); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func FuzzEcho(f *testing.F) {
	f.Add(appendEcho(nil, false, 1, 2, []byte("abc")), false)
	f.Add(append([]byte{0x46, 19: 0, 23: 0}, appendEcho(nil, true, 1, 2, nil)...), true)
	f.Add([]byte{0x4f}, true)
	f.Fuzz(func(t *testing.T, b []byte, header bool) {
		if m, ok := parseEchoMessage(b, header); ok && len(m.payload) > len(b)-echoHeader {
			t.Error("more payload than packet")
		}
	})
}

func FuzzARP(f *testing.F) {
	f.Add(appendARP(nil, packetMAC, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")))
	f.Add([]byte{0, 1, 8, 0, 6, 4, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseARP(b); ok && (len(p.senderMAC) != 6 || !p.sender.Is4()) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzAdvertisement(f *testing.F) {
	f.Add(advertisementBytes(f))
	f.Add(advertisementBytes(f)[:70])
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := parseAdvertisement(b); ok && (a.target.IsMulticast() || a.mac != nil && len(a.mac) != 6) {
			t.Errorf("%+v", a)
		}
	})
}
