package capture

import (
	"bytes"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
)

// secret is what no output may have: in a request line, a name that is asked for, a server's name.
const secret = "SECRETSECRET"

func marks(t *testing.T) map[string][]byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(secret+".", dns.TypeA)
	// The number is not a random one: behind a data offset that lies, the message's first bytes are TCP's options, and those are
	// header. As options these have a length that cannot be, so that the message is payload of a malformed packet.
	m.Id = 0xa1ff
	query, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	hello := slices.Concat([]byte{0x16, 3, 1, 0, 79, 1, 0, 0, 75, 3, 3}, make([]byte, 33), []byte{0, 2, 0x13, 1, 1, 0, 0, 32, 0, 0, 0, 17, 0, 15, 0, 0, 12}, []byte(secret), make([]byte, 11))
	return map[string][]byte{"HTTP": []byte("GET /" + secret + " HTTP/1.1\r\nHost: x\r\n\r\n"), "DNS": query, "TLS": hello}
}

// said is all that can be said or saved of a packet.
func said(t *testing.T, e *text.Event) []byte {
	t.Helper()
	l := &text.Lines{}
	out := l.Append(nil, e)
	out = text.Layers(out, e)
	out, err := l.JSON(out, e)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := NewWriter(&pcap.Files{Out: &file})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(e); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(0, nil); err != nil {
		t.Fatal(err)
	}
	return append(out, file.Bytes()...)
}

// TestNoPayload: whatever a packet carries, in whatever tunnels, cut off wherever, nothing of it is in lines, JSON or file; addresses and ports are.
func TestNoPayload(t *testing.T) {
	for name, mark := range marks(t) {
		g := corpus.New(20)
		g.Mark = mark
		frames := g.Frames(1500, 20)
		for range 4 {
			frames = append(frames, corpus.Truncations(g.Ether(0))...)
		}
		d := packet.Decoder{Checksums: true}
		with, summarized, ports := 0, 0, 0
		for _, f := range frames {
			for _, what := range []Payload{KeepPayload, CutPayload, BlankPayload} {
				var p packet.Packet
				data := bytes.Clone(f.Data)
				d.Decode(&p, data, f.WireLen, packet.Ethernet)
				before := p.Status()
				what.Apply(&p)
				if what == BlankPayload && len(p.Data) != len(f.Data) {
					t.Fatal("blanked is not cut")
				}
				e := &text.Event{Packet: &p, Nanos: 1}
				out := said(t, e)
				has := bytes.Contains(bytes.ToUpper(out), []byte(secret[:6]))
				switch {
				case what != KeepPayload:
					if has {
						t.Fatalf("%s, %d: %s\nof % x", name, what, bytes.ToUpper(out), f.Data)
					}
					// Decoded again, the headers say the same.
					var again packet.Packet
					d.Decode(&again, p.Data, p.Len, packet.Ethernet)
					if before&(packet.Malformed|packet.Truncated) == 0 && !p.Deeper && (again.Inner().Src != p.Inner().Src || again.Inner().SrcPort != p.Inner().SrcPort || again.N != p.N) {
						t.Fatalf("%s: %+v\n%+v", name, p.Inner(), again.Inner())
					}
				case has:
					with++
					if bytes.Contains(out[:bytes.IndexByte(out, '\n')], []byte(secret)) {
						summarized++
					}
					if p.Inner().HasPorts() {
						ports++
					}
				}
			}
		}
		if with < 300 || summarized < 50 || ports < 150 {
			t.Errorf("%s: %d frames had it, %d lines: it proves little", name, with, summarized)
		}
	}
}
