package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
)

// In a real terminal: a ping is captured on a node's NIC and seen inside its tunnel, filtered and saved; the capture is closed when its view
// is left. Then the lab is broken, repaired and taken away from within.
func TestInteractivePacketsAndLab(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	before := m.traces(t)
	m.up(t, "overlay", "ov")
	tm := newTerminal(t, m, 120, 40)
	enter := func(text string) { t.Helper(); tm.text(text); tm.keys("Enter") }
	enter(m.nscope + " --no-color; echo EXIT=$?")
	tm.sees("[1 topology]", "live ")

	// rings are the sockets of AF_PACKET in the node's namespace that take packets: they have no protocol before.
	rings := func() int {
		return strings.Count(m.run(t, "ip", "netns", "exec", "nscope-ov-n1", "cat", "/proc/net/packet"), " 0003 ")
	}
	enter(":find 10.99.0.1")
	tm.sees("10.99.0.1 is ")
	tm.text("c")
	tm.sees(" packets]", "packets of ")
	eventually(t, "the capture is open", func() error {
		if rings() == 0 {
			return fmt.Errorf("nothing is open in the node's namespace")
		}
		return nil
	})
	m.run(t, "ip", "netns", "exec", "nscope-ov-c1", "ping", "-c2", "-i0.2", "10.0.1.4")
	tm.sees("vxlan 4097", "ICMP echo request")
	tm.text("/vni 4097 and inner icmpp")
	tm.sees(" no  /", "^ nothing is known as \"icmpp\"")
	tm.keys("BSpace")
	tm.sees(" ok  /vni 4097 and inner icmp")
	tm.keys("Enter")
	tm.sees("/vni 4097 and inner icmp", "ICMP echo reply", "vxlan vni 4097")
	file := filepath.Join(t.TempDir(), "ping.pcapng")
	enter(":save " + file)
	tm.sees("written: ", "(4 packets")
	checkPing(t, file)
	tm.text("1")
	tm.sees("[1 topology]")
	eventually(t, "the capture is closed", func() error {
		if n := rings(); n > 0 {
			return fmt.Errorf("%d sockets are open", n)
		}
		return nil
	})

	enter(":lab")
	tm.sees("1 lab is up", "t test, b break")
	enter("/overlay !encrypted")
	tm.until("one mode", func(s string) bool {
		return strings.Contains(s, "▸ overlay ") && !strings.Contains(s, "overlay-encrypted")
	})
	tm.text("b")
	tm.sees("BREAK ov WITH")
	tm.keys("Enter")
	tm.sees("lab ov is broken: ", "why: ", "proof: ")
	tm.text("r")
	tm.sees("lab ov is repaired")
	tm.text("d")
	tm.sees("lab ov is gone", "0 labs are up")
	tm.text("q")
	tm.sees("EXIT=0")
	tm.given()
	tm.run("kill-server")
	m.noTraces(t, before)
}

// checkPing reads a file of two pings in a tunnel.
func checkPing(t *testing.T, file string) {
	t.Helper()
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
	d := packet.Decoder{VXLANPorts: []uint16{4789}}
	var rec pcap.Record
	var p packet.Packet
	for n := range 4 {
		if err := r.Next(&rec); err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
		d.Decode(&p, rec.Data, rec.Len, r.Interfaces[rec.Interface].Link)
		if h := p.Inner(); p.Tunnel().VNI != 4097 || h.Proto != packet.ICMP || h.Src.String() != "10.0.1.2" && h.Dst.String() != "10.0.1.2" {
			t.Errorf("packet %d: %+v", n, p.Inner())
		}
	}
	if err := r.Next(&rec); err == nil {
		t.Error("there are more than four packets")
	}
}
