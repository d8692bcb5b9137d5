package packet_test

import (
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

var links = []packet.LinkType{packet.Ethernet, packet.RawIP, packet.Null, packet.Loop, packet.LinuxSLL, packet.LinuxSLL2, packet.RawIPv4, packet.RawIPv6}

func FuzzDecode(f *testing.F) {
	for i, fr := range corpus.New(2).Frames(200, 20) {
		f.Add(fr.Data, uint16(fr.WireLen), uint8(i%len(links)))
	}
	d := packet.Decoder{Checksums: true, VXLANPorts: []uint16{4242}}
	var p packet.Packet
	f.Fuzz(func(t *testing.T, data []byte, wire uint16, link uint8) {
		d.Decode(&p, data, int(wire), links[int(link)%len(links)])
		if p.N < 1 || p.N > packet.MaxHeads {
			t.Fatal(p.N)
		}
		for i := range p.N {
			h := &p.Heads[i]
			if h.Version != 0 && (h.Net < 0 || h.Net >= len(data)) || h.HasPorts() && h.L4+4 > len(data) {
				t.Fatalf("%+v", h)
			}
			p.PayloadOf(h)
		}
	})
}
