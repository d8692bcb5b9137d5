package capture

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
)

// TestComments: the first packet of a conversation says who it is between, whether it was decoded or not; no other does.
func TestComments(t *testing.T) {
	names := map[string]string{"10.0.1.2": "web", "10.0.1.3": "db"}
	p := &text.Place{Name: "web/eth0", Names: func(a netip.Addr) string { return names[a.String()] }}
	udp := func(src, dst byte, port, id byte) []byte {
		ip := []byte{0x45, 0, 0, 28, 0, id, 0, 0, 64, 17, 0, id, 10, 0, 1, src, 10, 0, 1, dst, 0, port, 0, 53, 0, 8, 0, 0}
		return slices.Concat(make([]byte, 12), []byte{8, 0}, ip)
	}
	frames := [][]byte{udp(2, 3, 5, 1), udp(2, 3, 5, 2), udp(2, 3, 6, 3), udp(2, 3, 5, 4), udp(2, 9, 5, 5), udp(8, 9, 5, 6)}
	want := []string{"web → db", "", "web → db", "", "web → 10.0.1.9", ""}
	for _, decoded := range []bool{true, false} {
		var file bytes.Buffer
		w, err := NewWriter(&pcap.Files{Out: &file})
		if err != nil {
			t.Fatal(err)
		}
		var pkt packet.Packet
		var d packet.Decoder
		for _, b := range frames {
			if decoded {
				d.Decode(&pkt, b, len(b), packet.Ethernet)
			} else {
				pkt.Reset(b, len(b), packet.Ethernet)
			}
			if err := w.Write(&text.Event{Packet: &pkt, Place: p}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(0, nil); err != nil {
			t.Fatal(err)
		}
		r, err := pcap.Open(&file)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for rec := (pcap.Record{}); r.Next(&rec) == nil; {
			got = append(got, rec.Comment)
		}
		if !slices.Equal(got, want) {
			t.Errorf("decoded %v: %q, want %q", decoded, got, want)
		}
	}
}

// TestLostInFile: how many packets were lost before one is an interface's count, or is said where it is not known whose they were.
func TestLostInFile(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&pcap.Files{Out: &file})
	if err != nil {
		t.Fatal(err)
	}
	var pkt packet.Packet
	pkt.Reset(make([]byte, 60), 60, packet.Ethernet)
	for _, e := range []text.Event{{Packet: &pkt}, {Packet: &pkt, Drop: 7}, {Packet: &pkt, Drop: 8, DropShared: true}} {
		if err := w.Write(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(0, nil); err != nil {
		t.Fatal(err)
	}
	r, err := pcap.Open(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []pcap.Record{{}, {Drop: 7}, {Comment: "8 packets lost before, of the interfaces of this namespace"}} {
		var rec pcap.Record
		if err := r.Next(&rec); err != nil || rec.Drop != want.Drop || rec.Comment != want.Comment {
			t.Errorf("%v: %d, %q; want %d, %q", err, rec.Drop, rec.Comment, want.Drop, want.Comment)
		}
	}
}
