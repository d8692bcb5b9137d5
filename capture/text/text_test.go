package text

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

var (
	webAddr = netip.MustParseAddr("10.0.1.2")
	dbAddr  = netip.MustParseAddr("10.0.1.3")
)

// place is the link eth0 of a container that is called web.
func place() *Place {
	return &Place{Name: "web/eth0", Netns: "4026532184", Link: "eth0", Workload: "web", Own: map[netip.Addr]bool{webAddr: true}, Names: func(a netip.Addr) string {
		return map[netip.Addr]string{webAddr: "web", dbAddr: "db"}[a]
	}}
}

func u16(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

// eth puts an IPv4 packet from web to db into a frame.
func eth(proto byte, l4 []byte) []byte {
	b := append([]byte{2, 0x42, 10, 0, 1, 3, 2, 0x42, 10, 0, 1, 2}, 8, 0, 0x45, 0)
	b = append(u16(b, uint16(20+len(l4)), 1, 0x4000), 64, proto, 0, 0, 10, 0, 1, 2, 10, 0, 1, 3)
	return append(b, l4...)
}

// tcp is a segment; sequence numbers begin at 1000 and 5000.
func tcp(flags byte, seq, ack uint32, body string) []byte {
	b := u16(nil, 40000, 5432)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	b = append(u16(append(b, 0x50, flags), 502, 0, 0), body...)
	return eth(6, b)
}

func udp(from, to uint16, body []byte) []byte {
	return append(u16(nil, from, to, uint16(8+len(body)), 0), body...)
}

func say(t *testing.T, l *Lines, p *Place, dir Dir, frame []byte) string {
	t.Helper()
	var pkt packet.Packet
	var d packet.Decoder
	d.Decode(&pkt, frame, len(frame), packet.Ethernet)
	l.clock.loc = time.UTC
	return string(l.Append(nil, &Event{Packet: &pkt, Nanos: 1_800_000_062_123_456_789, Dir: dir, Place: p}))
}

// clientHello is the record that a client of this name begins with (RFC 8446 §4.1.2).
func clientHello(name string) []byte {
	sni := u16(nil, uint16(len(name)+3))
	sni = append(u16(append(sni, 0), uint16(len(name))), name...)
	ext := append(u16(nil, 0, uint16(len(sni))), sni...)
	body := append(u16(nil, 0x303), make([]byte, 32)...)
	body = append(body, 0)
	body = append(u16(body, 2, 0x1301), 1, 0)
	body = append(u16(body, uint16(len(ext))), ext...)
	hs := append([]byte{1, 0}, u16(nil, uint16(len(body)))...)
	hs = append(hs, body...)
	return append(append([]byte{0x16, 3, 1}, u16(nil, uint16(len(hs)))...), hs...)
}

func TestLines(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("db.", dns.TypeA)
	query, _ := m.Pack()
	m.Response = true
	rr, _ := dns.NewRR("db. 600 IN A 10.0.1.3")
	m.Answer = []dns.RR{rr}
	answer, _ := m.Pack()
	vxlan := append([]byte{8, 0, 0, 0, 0, 0x10, 1, 0}, tcp(0x18, 1001, 5001, strings.Repeat("x", 64))...)
	unreachable := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, eth(17, udp(53000, 99, nil))[14:]...)
	l := &Lines{}
	const at = "08:01:02.123456 web/eth0 "
	for _, tt := range []struct {
		name  string
		dir   Dir
		frame []byte
		want  string
	}{
		{"a connection begins", Out, tcp(2, 1000, 0, ""), "▸ db  10.0.1.2:40000 → 10.0.1.3:5432 TCP [S] seq 1000 win 502 len 0"},
		{"its bytes count from 1", Out, tcp(0x18, 1001, 5001, strings.Repeat("x", 64)), "▸ db  10.0.1.2:40000 → 10.0.1.3:5432 TCP [P.] seq 1:65 ack 1 win 502 len 64"},
		{"HTTP by its start line, on any port", Out, tcp(0x18, 1065, 5001, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "▸ db  10.0.1.2:40000 → 10.0.1.3:5432 TCP [P.] seq 65:92 ack 1 win 502 len 27 HTTP GET / HTTP/1.1"},
		{"no escape sequence reaches the terminal", Out, tcp(0x18, 1065, 5001, "GET /\x1b[2J HTTP/1.1\r\n"), "▸ db  10.0.1.2:40000 → 10.0.1.3:5432 TCP [P.] seq 65:85 ack 1 win 502 len 20 HTTP GET /.[2J HTTP/1.1"},
		{"TLS by its bytes", In, tcp(0x18, 1065, 5001, string(clientHello("db.example"))), "◂ db→? "},
		{"DNS", Out, eth(17, udp(5353, 999, query)), "▸ db  10.0.1.2:5353 → 10.0.1.3:999 UDP len 20 DNS A db."},
		{"DNS's answer", Out, eth(17, udp(999, 5353, answer)), "▸ db  10.0.1.2:999 → 10.0.1.3:5353 UDP len 38 DNS A db. → 10.0.1.3"},
		{"port 53 alone is no DNS", Out, eth(17, udp(53, 53, []byte("hello, this is none"))), "▸ db  10.0.1.2:53 → 10.0.1.3:53 UDP len 19"},
		{"an error says about what", Out, eth(1, unreachable), "▸ db  10.0.1.2 → 10.0.1.3 ICMP unreachable: port of 10.0.1.2:53000 → 10.0.1.3:99 UDP"},
		{"a tunnel", Unknown, eth(17, udp(50000, 4789, vxlan)), "db  vxlan 4097 10.0.1.2→10.0.1.3 | 10.0.1.2:40000 → 10.0.1.3:5432 TCP [P.] seq 1001:1065 "},
		{"ARP", Out, append([]byte{255, 255, 255, 255, 255, 255, 2, 0x42, 10, 0, 1, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0x42, 10, 0, 1, 2, 10, 0, 1, 2}, 0, 0, 0, 0, 0, 0, 10, 0, 1, 3), "▸ db  ARP who-has 10.0.1.3 tell 10.0.1.2"},
	} {
		got := say(t, l, place(), tt.dir, tt.frame)
		if tt.name == "TLS by its bytes" {
			if !strings.HasSuffix(got, " TLS ClientHello db.example\n") {
				t.Errorf("%s: %q", tt.name, got)
			}
			continue
		}
		if tt.name == "a tunnel" {
			// The tunnel's connection is another one than that outside: it is counted by itself.
			tt.want = "db  vxlan 4097 10.0.1.2→10.0.1.3 | 10.0.1.2:40000 → 10.0.1.3:5432 TCP [P.] seq 1:65 ack 1 win 502 len 64"
		}
		if got != at+tt.want+"\n" {
			t.Errorf("%s:\n%swant\n%s%s", tt.name, got, at, tt.want)
		}
	}
	if got := say(t, &Lines{}, nil, Unknown, tcp(0x18, 1001, 5001, "")[:50]); !strings.Contains(got, "[malformed]") && !strings.Contains(got, "[cut off]") {
		t.Errorf("a frame that is too short: %q", got)
	}
}

func TestJSON(t *testing.T) {
	frame := eth(17, udp(50000, 4789, append([]byte{8, 0, 0, 0, 0, 0x10, 1, 0}, tcp(2, 1, 0, "")...)))
	var p packet.Packet
	var d packet.Decoder
	d.Decode(&p, frame, len(frame), packet.Ethernet)
	b, err := (&Lines{}).JSON(nil, &Event{Packet: &p, Nanos: 1, Dir: Out, Place: place()})
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	tun, _ := o["tunnel"].(map[string]any)
	if tun["type"] != "vxlan" || tun["vni"] != 4097.0 || tun["port"] != 4789.0 || o["flags"] != "S" || o["workload"] != "web" || o["dport"] != 5432.0 || o["dir"] != "out" || o["ns"] != "4026532184" {
		t.Errorf("%s", b)
	}
	if strings.Contains(string(b), "null") || strings.Contains(string(b), "caplen") || strings.Contains(string(b), "drop") {
		t.Errorf("what is not there is absent: %s", b)
	}
}

// TestLost: the packet after those that were lost says how many.
func TestLost(t *testing.T) {
	frame := eth(17, udp(1, 2, nil))
	var p packet.Packet
	(&packet.Decoder{}).Decode(&p, frame, len(frame), packet.Ethernet)
	e := &Event{Packet: &p, Place: place(), Drop: 12}
	if line := string((&Lines{}).Append(nil, e)); !strings.HasSuffix(line, " [12 lost before]\n") {
		t.Errorf("%q", line)
	}
	if b, err := (&Lines{}).JSON(nil, e); err != nil || !strings.Contains(string(b), `"drop":12`) {
		t.Errorf("%v: %s", err, b)
	}
}

// TestExtensions: what a VXLAN header says beyond the VNI is said.
func TestExtensions(t *testing.T) {
	for _, tt := range []struct {
		port       uint16
		head       []byte
		line, json string
	}{
		{4789, []byte{0x88, 0, 0, 7, 0, 0x10, 1, 0}, "vxlan 4097 policy 7 10.0.1.2→10.0.1.3 | ", `"tunnel":{"type":"vxlan","vni":4097,"port":4789,"policy":7}`},
		{4790, []byte{0x0c, 0, 0, 3, 0, 0x10, 1, 0}, "vxlan-gpe 4097 10.0.1.2→10.0.1.3 | ", `"tunnel":{"type":"vxlan","vni":4097,"port":4790,"gpe":true}`},
	} {
		frame := eth(17, udp(50000, tt.port, append(tt.head, tcp(2, 1, 0, "")...)))
		if got := say(t, &Lines{}, place(), Out, frame); !strings.Contains(got, tt.line) {
			t.Errorf("%q without %q", got, tt.line)
		}
		var p packet.Packet
		var d packet.Decoder
		d.Decode(&p, frame, len(frame), packet.Ethernet)
		if b, err := (&Lines{}).JSON(nil, &Event{Packet: &p, Place: place()}); err != nil || !strings.Contains(string(b), tt.json) {
			t.Errorf("%v: %s without %s", err, b, tt.json)
		}
	}
}

// TestAnyFrame: a line, one and printable, and a JSON object, of whatever comes, cut off anywhere.
func TestAnyFrame(t *testing.T) {
	g := corpus.New(9)
	frames := g.Frames(4000, 30)
	for range 20 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	l := &Lines{PlaceWidth: 12}
	d := packet.Decoder{Checksums: true}
	var p packet.Packet
	for _, f := range frames {
		d.Decode(&p, f.Data, f.WireLen, packet.Ethernet)
		e := &Event{Packet: &p, Nanos: 5, Place: place()}
		line := string(l.Append(nil, e))
		if !strings.HasSuffix(line, "\n") || strings.Count(line, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q of %x", line, f.Data)
		}
		b, err := l.JSON(nil, e)
		if err != nil || !json.Valid(b) {
			t.Fatalf("%v: %s", err, b)
		}
		Layers(nil, e)
		if dump := string(Hex(nil, f.Data)); strings.Count(dump, "\n") != (len(f.Data)+15)/16 {
			t.Fatalf("%s of %s", dump, hex.EncodeToString(f.Data))
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, fr := range corpus.New(10).Frames(100, 20) {
		f.Add(fr.Data)
	}
	f.Add(tcp(0x18, 1, 1, string(clientHello("x"))))
	l := &Lines{}
	var p packet.Packet
	var d packet.Decoder
	f.Fuzz(func(t *testing.T, b []byte) {
		d.Decode(&p, b, len(b), packet.Ethernet)
		e := &Event{Packet: &p, Place: place()}
		l.Append(nil, e)
		Layers(nil, e)
		if _, err := l.JSON(nil, e); err != nil {
			t.Fatal(err)
		}
	})
}
