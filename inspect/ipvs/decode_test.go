package ipvs

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func ne16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
func ne64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// answer is a struct genlmsghdr and one nested attribute.
func answer(typ uint16, fill func([]byte) []byte) []byte {
	return nlwire.AppendNested(make([]byte, genlHeaderLen), typ, fill)
}

func serviceByMark() []byte {
	return answer(attrService, func(b []byte) []byte {
		b = nlwire.AppendAttr(b, svcAF, ne16(afInet6))
		b = nlwire.AppendU32(b, svcFWMark, 0x101)
		b = nlwire.AppendAttr(b, svcSched, []byte("wrr\x00"))
		b = nlwire.AppendAttr(b, svcFlags, append(ne64(0x43)[:4], 0xff, 0xff, 0xff, 0xff))
		b = nlwire.AppendU32(b, svcTimeout, 300)
		b = nlwire.AppendU32(b, svcNetmask, 64)
		b = nlwire.AppendNested(b, svcStats64, func(b []byte) []byte { return nlwire.AppendAttr(b, 4, ne64(1<<40)) })
		// The old attribute says less and comes before or after.
		return nlwire.AppendNested(b, svcStats, func(b []byte) []byte { return nlwire.AppendAttr(b, 4, ne64(7)) })
	})
}

func destination() []byte {
	return answer(attrDest, func(b []byte) []byte {
		b = nlwire.AppendAttr(b, dstAddr, append([]byte{10, 0, 0, 5}, make([]byte, 12)...))
		b = nlwire.AppendAttr(b, dstPort, be16(8080))
		b = nlwire.AppendU32(b, dstMethod, 2|0x100)
		b = nlwire.AppendU32(b, dstWeight, 3)
		b = nlwire.AppendAttr(b, dstTunType, []byte{1})
		b = nlwire.AppendAttr(b, dstTunPort, be16(6080))
		b = nlwire.AppendAttr(b, dstTunFlags, ne16(1))
		return nlwire.AppendNested(b, dstStats, func(b []byte) []byte { return nlwire.AppendU32(b, 1, 9) })
	})
}

func TestDecode(t *testing.T) {
	var s service
	if !decodeService(serviceByMark(), &s) {
		t.Fatal("no service")
	}
	want := snapshot.IPVSService{
		Family: "inet6", FWMark: 0x101, Scheduler: "wrr", Flags: []string{"persistent", "hashed", "0x40"}, Timeout: 300, Netmask: "64",
		Stats: snapshot.IPVSStats{InBytes: 1 << 40},
	}
	if d := cmp.Diff(want, s.IPVSService, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
	var d snapshot.IPVSDestination
	if !decodeDest(destination(), afInet, &d) {
		t.Fatal("no destination")
	}
	wantDest := snapshot.IPVSDestination{
		Addr: netip.MustParseAddr("10.0.0.5"), Port: 8080, Weight: 3, Method: "tunnel", TunnelType: "gue", TunnelPort: 6080,
		TunnelFlags: []string{"csum"}, Stats: snapshot.IPVSStats{Conns: 9},
	}
	if d := cmp.Diff(wantDest, d, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
}

// TestNotAsked: a namespace whose table is only a head is not asked by netlink.
func TestNotAsked(t *testing.T) {
	head := "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
	if hasService([]byte(head)) || hasService(nil) || !hasService([]byte(head+"FWM  00000101 rr\n")) {
		t.Error("the head alone is no service")
	}
}

func TestConns(t *testing.T) {
	text := `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A000102 D431 0A000101 0050 0A000105 1F90 ESTABLISHED     899
UDP 2001:0db8:0000:0000:0000:0000:0000:0001 0035 2001:0db8:0000:0000:0000:0000:0000:0002 0035 0A000105 0035 UDP             3 sip abc
IP  0A000100 0000 00000101 0000 0A000105 0000 NONE          299
TCP 0A000103 D432 0A000101
`
	all, cut, err := readConns(strings.NewReader(text), 0, nil)
	if err != nil || cut || len(all) != 3 {
		t.Fatalf("%v, %v, %v", all, cut, err)
	}
	ap := netip.MustParseAddrPort
	want := []snapshot.IPVSConn{
		{Protocol: "tcp", Client: ap("10.0.1.2:54321"), Virtual: ap("10.0.1.1:80"), Destination: ap("10.0.1.5:8080"), State: "ESTABLISHED", Expires: 899},
		{Protocol: "udp", Client: ap("[2001:db8::1]:53"), Virtual: ap("[2001:db8::2]:53"), Destination: ap("10.0.1.5:53"), State: "UDP", Expires: 3},
		{Protocol: "ip", Client: ap("10.0.1.0:0"), Virtual: ap("0.0.1.1:0"), Destination: ap("10.0.1.5:0"), State: "NONE", Expires: 299},
	}
	if d := cmp.Diff(want, all, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Error(d)
	}
	udp := func(c *snapshot.IPVSConn) bool { return c.Protocol != "tcp" }
	if some, cut, _ := readConns(strings.NewReader(text), 1, udp); len(some) != 1 || some[0].Protocol != "udp" || !cut {
		t.Errorf("%v, %v", some, cut)
	}
}

// FuzzDecode: any bytes make no panic and nothing much larger than themselves.
func FuzzDecode(f *testing.F) {
	f.Add(serviceByMark())
	f.Add(destination())
	f.Add([]byte("TCP 0A000102 D431 0A000101 0050 0A000105 1F90 ESTABLISHED     899"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s service
		if decodeService(b, &s) && s.Family == "" {
			t.Error("a service of no family")
		}
		s.key(nil)
		var d snapshot.IPVSDestination
		if decodeDest(b, s.af, &d) && !d.Addr.IsValid() {
			t.Error("a destination without address")
		}
		if len(s.Flags)+len(d.TunnelFlags) > 64 {
			t.Error("more flags than bits")
		}
		decodeConfig(b)
		decodeInfo(b)
		hasService(b)
		if c, ok := parseConn(string(b)); ok && !c.Client.IsValid() {
			t.Error("a connection of nobody")
		}
	})
}
