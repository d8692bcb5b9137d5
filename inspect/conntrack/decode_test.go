package conntrack

import (
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

func tuple(b []byte, typ uint16, src, dst byte, sport, dport uint16) []byte {
	return nlwire.AppendNested(b, typ, func(b []byte) []byte {
		b = nlwire.AppendNested(b, ctaTupleIP, func(b []byte) []byte {
			b = nlwire.AppendAttr(b, ctaV4Src, []byte{10, 0, 0, src})
			return nlwire.AppendAttr(b, ctaV4Dst, []byte{10, 0, 0, dst})
		})
		return nlwire.AppendNested(b, ctaTupleProto, func(b []byte) []byte {
			b = nlwire.AppendAttr(b, ctaProtoNum, []byte{6})
			b = nlwire.AppendAttr(b, ctaProtoSrc, []byte{byte(sport >> 8), byte(sport)})
			return nlwire.AppendAttr(b, ctaProtoDst, []byte{byte(dport >> 8), byte(dport)})
		})
	})
}

// entry is 10.0.0.1:4000 → 10.0.0.9:80, translated to 10.0.0.5:8080.
func entry() []byte {
	b := tuple(make([]byte, nfgenLen), ctaTupleOrig, 1, 9, 4000, 80)
	b = tuple(b, ctaTupleReply, 5, 1, 8080, 4000)
	b = nlwire.AppendAttr(b, ctaStatus, []byte{0, 0, 0, 0x2e})
	b = nlwire.AppendAttr(b, ctaMark, []byte{0, 0, 1, 1})
	return nlwire.AppendNested(b, ctaProtoinfo, func(b []byte) []byte {
		return nlwire.AppendNested(b, ctaProtoTCP, func(b []byte) []byte { return nlwire.AppendAttr(b, ctaProtoState, []byte{3}) })
	})
}

func TestFilter(t *testing.T) {
	var c snapshot.Conn
	if !decode(entry(), &c) || c.State != "ESTABLISHED" || c.Mark != 0x101 || !c.DNAT() || c.SNAT() || c.Server().String() != "10.0.0.5:8080" {
		t.Fatalf("%+v", c)
	}
	zone, other := uint16(0), uint16(7)
	net := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	for _, tt := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"nothing", Filter{}, true},
		{"protocol", Filter{Protocol: "tcp"}, true},
		{"its number", Filter{Protocol: "6"}, true},
		{"another", Filter{Protocol: "udp"}, false},
		{"family", Filter{Family: "inet6"}, false},
		{"client", Filter{Addrs: net("10.0.0.1/32")}, true},
		{"as asked", Filter{Addrs: net("10.0.0.9/32")}, true},
		{"as translated", Filter{Addrs: net("10.0.0.5/32")}, true},
		{"nobody", Filter{Addrs: net("10.0.0.6/32")}, false},
		{"a net", Filter{Addrs: net("10.0.0.0/29")}, true},
		{"translated port", Filter{Ports: []uint16{22, 8080}}, true},
		{"no such port", Filter{Ports: []uint16{22}}, false},
		{"address and port", Filter{Addrs: net("10.0.0.5/32"), Ports: []uint16{22}}, false},
		{"state", Filter{State: "established"}, true},
		{"another state", Filter{State: "TIME_WAIT"}, false},
		{"mark", Filter{Mark: 0x101, Mask: 0xffff}, true},
		{"another mark", Filter{Mark: 0x102, Mask: 0xffff}, false},
		{"a bit", Filter{Mark: 1, Mask: 1}, true},
		{"zone", Filter{Zone: &zone}, true},
		{"another zone", Filter{Zone: &other}, false},
	} {
		if got := tt.f.Match(&c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	v := snapshot.IPVSConn{Protocol: "tcp", Client: c.Orig.Src, Virtual: c.Orig.Dst, Destination: c.Reply.Src, State: "ESTABLISHED"}
	for f, want := range map[*Filter]bool{{}: true, {Protocol: "udp"}: false, {Ports: []uint16{80}}: true, {Mark: 1, Mask: 1}: false, {Family: "inet6"}: false} {
		if f.MatchIPVS(&v) != want {
			t.Errorf("%+v of IPVS: %v", f, !want)
		}
	}
}

// FuzzDecode: any bytes make no panic and nothing larger than themselves.
func FuzzDecode(f *testing.F) {
	f.Add(entry())
	f.Fuzz(func(t *testing.T, b []byte) {
		var c snapshot.Conn
		if !decode(b, &c) {
			return
		}
		if c.Family == "" || c.Protocol == "" || !c.Orig.Src.IsValid() || len(c.Status) > 32*len(b) {
			t.Errorf("%+v", c)
		}
		(&Filter{Ports: []uint16{1}}).Match(&c)
	})
}
