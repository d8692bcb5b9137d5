package tui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/nscope/nscope/capture"
	pfilter "github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// fakeSession gives what a test gives it.
type fakeSession struct {
	events chan *text.Event
	end    error

	mu     sync.Mutex
	filter *pfilter.Filter
	closed chan struct{}
}

func (s *fakeSession) Run(ctx context.Context, take func(*text.Event) error, _ func() (bool, error)) error {
	defer close(s.closed)
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				return s.end
			}
			if err := take(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *fakeSession) SetFilter(f *pfilter.Filter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter = f
}

func (s *fakeSession) Counts() []capture.Counts { return []capture.Counts{{Dropped: 7}} }

// tapped is a driver on a live host, and what it asked to capture.
type tapped struct {
	*driver
	taps    []Tap
	session *fakeSession
	fail    error
}

func newTapped(t *testing.T, cfg Config) *tapped {
	x := &tapped{}
	cfg.Capture = func(_ context.Context, tap Tap) (Session, error) {
		x.taps = append(x.taps, tap)
		x.session = &fakeSession{events: make(chan *text.Event), closed: make(chan struct{})}
		return x.session, x.fail
	}
	x.driver = newDriver(t, 120, 40, cfg)
	snaps := recorded(t, "swarm-node1")
	for i, name := range []string{"web", "api"} {
		snaps[0].Workloads[i].Name = name
	}
	x.live(snaps...)
	ns, _ := x.m.env.state.Graph.Netns(x.nodeNamed(topo.KindContainer, "web"))
	inWeb.Netns = x.m.env.state.Graph.Namespace(ns).ID.Short()
	return x
}

// start captures a container.
func (x *tapped) start(name string) {
	x.t.Helper()
	x.send(captureMsg{[]string{x.nodeNamed(topo.KindContainer, name).ID}})
	if len(x.taps) == 0 {
		x.t.Fatalf("nothing is captured:\n%s", x.frame())
	}
}

// pass lets packets come, and be shown.
func (x *tapped) pass(list ...*text.Event) {
	x.t.Helper()
	for _, e := range list {
		x.session.events <- e
	}
	for want := x.packets().seen + uint64(len(list)); x.packets().seen < want; {
		x.comes()
	}
}

// comes waits for what a command waited for.
func (x *tapped) comes() {
	x.t.Helper()
	select {
	case m := <-x.late:
		x.send(m)
	case <-time.After(10 * time.Second):
		x.t.Fatalf("nothing comes\n%s", x.frame())
	}
}

func (x *tapped) packets() *packets { return x.m.views[viewIndex("packets")].(*packets) }

// frames of an echo and of a connection, plain and in a tunnel.
func frame(t *testing.T, list ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ether(n byte) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, n}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, n + 1}, EthernetType: layers.EthernetTypeIPv4}
}

func ipv4(src, dst string, p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 7, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst), Protocol: p}
}

func echo(t *testing.T, src, dst string, seq uint16, tunnel bool) []byte {
	list := []gopacket.SerializableLayer{ether(1), ipv4(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: seq}, gopacket.Payload("are you there?")}
	if tunnel {
		ip := ipv4("10.99.0.1", "10.99.0.2", layers.IPProtocolUDP)
		u := &layers.UDP{SrcPort: 40000, DstPort: 4789}
		u.SetNetworkLayerForChecksum(ip)
		list = append([]gopacket.SerializableLayer{ether(8), ip, u, &layers.VXLAN{ValidIDFlag: true, VNI: 4097}}, list...)
	}
	return frame(t, list...)
}

func request(t *testing.T, src, dst string, from, to layers.TCPPort) []byte {
	ip := ipv4(src, dst, layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: from, DstPort: to, Seq: 1, SYN: true, Window: 64240}
	tcp.SetNetworkLayerForChecksum(ip)
	return frame(t, ether(3), ip, tcp)
}

var (
	inWeb = &text.Place{Name: "web/eth1", Netns: "x", Link: "eth1", Names: func(a netip.Addr) string {
		return map[string]string{"10.0.1.12": "web", "10.0.1.4": "api"}[a.String()]
	}, Own: map[netip.Addr]bool{netip.MustParseAddr("10.0.1.12"): true}}
	onHost = &text.Place{Name: "host/eth0", Netns: "y", Link: "eth0", Names: func(netip.Addr) string { return "" }}
)

// seenAt is an event at a place, so many milliseconds after noon.
func seenAt(at *text.Place, ms int, dir text.Dir, data []byte) *text.Event {
	d := packet.Decoder{VXLANPorts: []uint16{4789}}
	p := &packet.Packet{}
	d.Decode(p, data, len(data), packet.Ethernet)
	return &text.Event{Packet: p, Nanos: noon.Add(time.Duration(ms) * time.Millisecond).UnixNano(), Dir: dir, Place: at}
}

// few are some packets of two places.
func few(t *testing.T) []*text.Event {
	return []*text.Event{
		seenAt(inWeb, 1, text.Out, echo(t, "10.0.1.12", "10.0.1.4", 1, false)),
		seenAt(onHost, 2, text.Out, echo(t, "10.0.1.12", "10.0.1.4", 1, true)),
		seenAt(inWeb, 3, text.In, echo(t, "10.0.1.4", "10.0.1.12", 1, false)),
		seenAt(inWeb, 4, text.Out, request(t, "10.0.1.12", "10.0.1.4", 41234, 80)),
		seenAt(inWeb, 5, text.Out, request(t, "10.0.1.12", "10.0.1.9", 41236, 5432)),
	}
}

func TestPacketsPictures(t *testing.T) {
	for name, cfg := range map[string]Config{"packets": {}, "packets-ascii": {ASCII: true, NoColor: true}} {
		t.Run(name, func(t *testing.T) {
			x := newTapped(t, cfg)
			x.start("web")
			x.pass(few(t)...)
			x.press("g")
			x.golden(t, name)
			x.press("j/vni 4097 and innr")
			x.golden(t, name+"-wrong")
		})
	}
}

// TestPacketsFilter: what is typed is judged at once, in words too; what is right is shown at once, and is the capture's once it is kept.
func TestPacketsFilter(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	x.pass(few(t)...)
	p := x.packets()
	x.wants("packets of web", "5 packets", "7 dropped by the kernel")
	x.press("/tcp por")
	x.wants(" no  /tcp por", "^")
	if len(p.shown) != 2 { // tcp, the last that was right
		t.Errorf("%d are shown while the filter is wrong", len(p.shown))
	}
	x.press("<enter>")
	x.wants(" no  /tcp por") // it stays
	x.press("t 80")
	x.wants(" ok  /tcp port 80", "1 shown")
	if x.session.filter != nil {
		t.Error("the capture has what is only being typed")
	}
	x.press("<enter>")
	x.wants("/tcp port 80", "esc ends the filter")
	if f := x.session.filter; f == nil || f.String() != "tcp port 80" {
		t.Errorf("the capture has %v", f)
	}
	x.press("/ and nonsense<esc>")
	if p.filter.text != "tcp port 80" || len(p.shown) != 1 {
		t.Errorf("after esc: %q, %d shown", p.filter.text, len(p.shown))
	}
	x.press("<esc>")
	if p.filter.text != "" || len(p.shown) != 5 || x.session.filter != nil {
		t.Errorf("after the end: %q, %d shown, the capture has %v", p.filter.text, len(p.shown), x.session.filter)
	}
	x.press("/icmp and vni 4097<enter>")
	x.wants("5 packets do not pass the filter", "/inner icmp")
	x.press("/<ctrl+u>container web<enter>")
	if len(p.shown) != 4 { // seen in its namespace
		t.Errorf("%d are shown of container web", len(p.shown))
	}
}

// TestPacketsFlow: a flow is followed into tunnels and back.
func TestPacketsFlow(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	x.pass(few(t)...)
	p := x.packets()
	x.press("/inner icmp or tcp<enter>gF")
	if p.filter.text != "inner host 10.0.1.12 and host 10.0.1.4 and icmp" || len(p.shown) != 3 {
		t.Errorf("%q shows %d", p.filter.text, len(p.shown))
	}
	x.press("F")
	if p.filter.text != "inner icmp or tcp" || len(p.shown) != 5 {
		t.Errorf("again: %q shows %d", p.filter.text, len(p.shown))
	}
	x.press("GF")
	if p.filter.text != "inner host 10.0.1.12 and host 10.0.1.9 and tcp port 41236 and port 5432" || len(p.shown) != 1 {
		t.Errorf("%q shows %d", p.filter.text, len(p.shown))
	}
}

// TestFlowOfAny: whatever the packet is, its flow's filter can be read and lets it through.
func TestFlowOfAny(t *testing.T) {
	for _, e := range few(t) {
		expr, ok := flowOf(e.Packet)
		if !ok {
			t.Fatal("no flow")
		}
		f, err := pfilter.Parse(expr, nil)
		if err != nil || !f.Match(e.Packet, pfilter.Meta{}) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	arp := frame(t, &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: 1, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: make([]byte, 6), DstHwAddress: make([]byte, 6), SourceProtAddress: []byte{10, 0, 1, 2}, DstProtAddress: []byte{10, 0, 1, 3}})
	ip6 := frame(t, &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv6},
		&layers.IPv6{Version: 6, NextHeader: layers.IPProtocolOSPF, HopLimit: 1, SrcIP: net.ParseIP("fe80::1"), DstIP: net.ParseIP("ff02::5")}, gopacket.Payload("12345678"))
	for _, data := range [][]byte{arp, ip6} {
		e := seenAt(onHost, 0, text.In, data)
		expr, ok := flowOf(e.Packet)
		f, err := pfilter.Parse(expr, nil)
		if !ok || err != nil || !f.Match(e.Packet, pfilter.Meta{}) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	if _, ok := flowOf(&packet.Packet{}); ok {
		t.Error("nothing has a flow")
	}
}

// TestPacketsSave: what is shown is written, and read again.
func TestPacketsSave(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	x.press("s")
	x.wants("no packets to save")
	x.pass(few(t)...)
	x.press("/inner icmp<enter>s")
	x.wants(":save web.pcapng")
	x.press("<esc>")
	file := filepath.Join(t.TempDir(), "some.pcapng")
	x.press(":save " + file + "<enter>")
	x.wants("written: ", "3 packets")
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcap.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rec pcap.Record
	var names []string
	for i, want := range []*kept{x.packets().shown[0], x.packets().shown[1], x.packets().shown[2]} {
		if err := r.Next(&rec); err != nil || string(rec.Data) != string(want.Data) || rec.Nanos != want.Nanos {
			t.Errorf("packet %d: %v", i, err)
		}
		names = append(names, r.Interfaces[rec.Interface].Name)
	}
	if got := strings.Join(names, " "); got != "web/eth1 host/eth0 web/eth1" {
		t.Errorf("interfaces %q", got)
	}
	x.press(":save " + file + "<enter>")
	x.wants("is there already")
	x.press(":save " + t.TempDir() + "/x.txt<enter>")
	x.wants("must end in .pcapng")
}

// TestPacketsFreeze: what is frozen stands still, and goes on where it would be.
func TestPacketsFreeze(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	list := few(t)
	x.pass(list[:3]...)
	x.press("f")
	x.pass(list[3:]...)
	x.wants("frozen", "3 shown")
	x.press("/tcp<enter>")
	x.wants("do not pass")
	x.press("<esc>f")
	x.lacks("shown")
	if p := x.packets(); len(p.shown) != 5 || p.cursor != 4 {
		t.Errorf("%d shown, cursor %d", len(p.shown), p.cursor)
	}
}

// TestPacketsLeave: a capture is closed when the view is left, also one that is being opened; what was captured stays.
func TestPacketsLeave(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	x.pass(few(t)...)
	s := x.session
	x.press("1")
	<-s.closed
	x.press("7")
	x.wants("ended, because the view was left", "5 packets")
	x.press("c")
	if len(x.taps) != 2 || x.session == s {
		t.Fatalf("%d captures", len(x.taps))
	}
	x.wants("waiting for packets")
	s = x.session
	x.start("api")
	<-s.closed
	x.wants("packets of api")
	s = x.session
	x.press("E")
	<-s.closed
	x.wants("packets of api, ended")

	// One that is opened after it was left.
	p := x.packets()
	cmd := p.Capture(p.ids)
	p.Leave()
	x.send(cmd())
	<-x.session.closed
	x.wants("ended")
}

// TestPacketsErrors: what cannot be captured says why.
func TestPacketsErrors(t *testing.T) {
	x := newTapped(t, Config{})
	x.fail = errors.New("needs CAP_NET_RAW (has it not): run as root")
	x.start("web")
	x.wants("cannot capture: needs CAP_NET_RAW")
	x.fail = nil
	x.start("web")
	x.session.end = errors.New("the socket is gone")
	close(x.session.events)
	<-x.session.closed
	x.comes()
	x.wants("the capture has ended: the socket is gone")

	d := newDriver(t, 80, 24, Config{}, recorded(t, "swarm-node1")...)
	d.press("7")
	d.wants("Nothing is live in saved snapshots", "nscope capture -r FILE")
	d.press("2c")
	d.wants("packets need the live host")
}

// TestPacketsBounded: memory is bounded by number and by bytes, the newest are kept, and the cursor moves to the nearest neighbour.
func TestPacketsBounded(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	p := x.packets()
	x.pass(few(t)...)
	x.press("g")
	at := func(n int) *kept {
		e := seenAt(inWeb, 1000+n, text.In, echo(t, "10.0.1.4", "10.0.1.12", uint16(n), false))
		return &kept{Event: e, line: fmt.Sprint(n)}
	}
	var list []*kept
	for n := range mostKept + 10 {
		list = append(list, at(n))
	}
	x.send(feedMsg{feed: p.feed, packets: list})
	if len(p.kept) != mostKept || p.kept[len(p.kept)-1].line != fmt.Sprint(mostKept+9) || p.cursor != 0 {
		t.Errorf("%d kept, cursor %d", len(p.kept), p.cursor)
	}
	big := at(mostKept + 10)
	big.Data = make([]byte, mostBytes/3)
	x.send(feedMsg{feed: p.feed, packets: []*kept{big, big}})
	if p.bytes > mostBytes || len(p.kept) < 2 || p.kept[len(p.kept)-1] != big {
		t.Errorf("%d bytes in %d packets", p.bytes, len(p.kept))
	}
	// What comes while nobody looks is counted, not kept.
	f := newFeed(t.Context())
	for range mostWaiting + 3 {
		if err := f.take(seenAt(inWeb, 1, text.In, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if m := f.next().(feedMsg); m.skipped != 3 || m.seen != mostWaiting+3 || len(m.packets) != mostWaiting {
		t.Errorf("%d packets, %d skipped of %d", len(m.packets), m.skipped, m.seen)
	}
	// Late ones find their place.
	x.press("C")
	x.send(feedMsg{feed: p.feed, packets: []*kept{at(5), at(9)}})
	x.send(feedMsg{feed: p.feed, packets: []*kept{at(7), at(10)}})
	var order []string
	for _, k := range p.kept {
		order = append(order, k.line)
	}
	if got := strings.Join(order, " "); got != "5 7 9 10" {
		t.Errorf("order %s", got)
	}
}

// TestPacketsPanes: tab goes through the panes, then on.
func TestPacketsPanes(t *testing.T) {
	x := newTapped(t, Config{})
	x.start("web")
	x.pass(few(t)...)
	x.press("gj")
	x.wants("vxlan vni 4097", "ICMP")
	x.press("<tab>")
	x.wants("▸ headers")
	x.press("<tab>")
	x.wants("▸ ", "bytes", "0x0000:")
	x.press("<esc>")
	if x.packets().pane != paneList {
		t.Error("esc does not lead back to the list")
	}
	x.press("<enter>")
	x.wants("▸ headers")
	x.press("<tab><tab>")
	if x.m.places.at().view == "packets" {
		t.Error("tab behind the last pane does not lead on")
	}
}
