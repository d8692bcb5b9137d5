package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo/ruleset"
)

// arpRule is a random rule for ARP.
func arpRule(g *ruleGen, ends ...string) string {
	var c []string
	op := func() string { return pick(g, "", "", "!= ") }
	ips := func() string {
		return pick(g, "10.9.0.64/26", "10.9.0.20-10.9.0.90", "{ 10.9.0.1, 10.9.0.30-10.9.0.70 }", "10.9.0.1", "10.9.0.9")
	}
	macs := func() string {
		return pick(g, "02:00:00:00:00:02", "{ 02:00:00:00:00:01, 02:00:00:00:00:03 }", "00:00:00:00:00:00")
	}
	for range g.IntN(4) {
		c = append(c, pick(g, "arp operation "+pick(g, "request", "reply", "!= request", "{ request, reply }"), "arp saddr ip "+op()+ips(), "arp daddr ip "+op()+ips(),
			"arp saddr ether "+op()+macs(), "arp daddr ether "+op()+macs(), pick(g, "arp htype 1", "arp plen 4", "arp hlen != 6", "arp ptype 0x0800"), "meta mark "+op()+"1",
			pick(g, `iifname "eth0"`, `oifname "eth0"`, `iifname != "lo"`)))
	}
	return strings.Join(append(c, pick(g, ends...)), " ")
}

// arpRules is a random ruleset for ARP.
func arpRules(g *ruleGen) string {
	var b strings.Builder
	b.WriteString("table arp t {\n\tchain u {\n")
	for range g.IntN(3) {
		fmt.Fprintf(&b, "\t\t%s\n", arpRule(g, "accept", "return", "drop", "meta mark set 1"))
	}
	b.WriteString("\t}\n")
	for i, hook := range []string{"input", "input", "output"} {
		fmt.Fprintf(&b, "\tchain c%d {\n\t\ttype filter hook %s priority %d; policy %s;\n", i, hook, i, pick(g, "accept", "accept", "accept", "drop"))
		for range g.IntN(5) {
			fmt.Fprintf(&b, "\t\t%s\n", arpRule(g, "accept", "accept", "drop", "return", "counter", "meta mark set 1", "jump u"))
		}
		b.WriteString("\t}\n")
	}
	return b.String() + "}\n"
}

// TestEvaluatorOfARP makes random rules for ARP, asks for an address by real requests, and compares who gets an answer with what the
// evaluator says: a request has to come in, and its answer to get out.
func TestEvaluatorOfARP(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft", "ip")
	seed := seed.Of(t)
	router, peer := nettest.New(t), nettest.New(t)
	nettest.Run(t, router, "sh", "-ec", fmt.Sprintf(`ip link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d
		ip link set eth0 address 02:00:00:00:00:01 up
		ip addr add 10.9.0.1/24 dev eth0; ip addr add 10.9.0.9/24 dev eth0`, os.Getpid(), peer.FD()))
	nettest.Run(t, peer, "ip", "link", "set", "eth0", "up")
	var fd, ifindex int
	if err := peer.Do(func() (err error) { fd, ifindex, err = packetSocket(unix.ETH_P_ARP, "eth0"); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	rounds, answered, refused := 30, 0, 0
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		g := &ruleGen{Rand: rand.New(rand.NewPCG(seed, uint64(round)))}
		text := ""
		if round > 0 { // at first there are none: all are answered
			text = arpRules(g)
		}
		nettest.Run(t, router, "nft", "flush ruleset\n"+text)
		ns := snapshot.Namespace{Links: linksOf(t, router), Netfilter: *readRules(t, router)}
		space := ruleset.NewSpace(&ns)
		passes := func(p ruleset.Packet, hook string) bool {
			p.Known |= ruleset.FIn | ruleset.FOut
			if p.Out = space.Iface("eth0"); hook == "input" {
				p.In, p.Out = p.Out, ruleset.Iface{}
			}
			r := space.Rules.Eval(ruleset.At{Family: "arp", Hook: hook}, p, space)
			if r.Verdict == ruleset.Unknown {
				t.Errorf("round %d: %s at %s is unknown: %s", round, p.Src, hook, r.Why)
			}
			return r.Verdict == ruleset.Accept
		}
		want := map[netip.Addr]bool{}
		for i := range 80 {
			from := netip.AddrFrom4([4]byte{10, 9, 0, byte(20 + i)})
			to := netip.MustParseAddr(pick(g, "10.9.0.1", "10.9.0.9"))
			mac := pick(g, "02:00:00:00:00:02", "02:00:00:00:00:03", "02:00:00:00:00:04")
			ask := ruleset.AboutARP(ruleset.ARP{Op: 1, SrcMAC: mac, DstMAC: "00:00:00:00:00:00"}, from, to)
			reply := ruleset.AboutARP(ruleset.ARP{Op: 2, SrcMAC: "02:00:00:00:00:01", DstMAC: mac}, to, from)
			want[from] = passes(ask, "input") && passes(reply, "output")
			if want[from] {
				answered++
			} else {
				refused++
			}
			sendARP(t, fd, ifindex, mac, from, to)
		}
		got := answersOfARP(t, fd)
		for from, yes := range want {
			if got[from] != yes {
				t.Errorf("round %d: %s is answered: %v, evaluated: %v", round, from, got[from], yes)
			}
		}
		if t.Failed() {
			t.Fatal(text)
		}
	}
	t.Logf("%d answered, %d not", answered, refused)
	if answered*10 < refused || refused*10 < answered {
		t.Error("what is sent tests little")
	}
}

// linksOf are the links of a namespace, as far as rules ask for them.
func linksOf(t *testing.T, h *netns.Handle) []snapshot.Link {
	t.Helper()
	var links []snapshot.Link
	if err := h.Do(func() error {
		all, err := net.Interfaces()
		for _, l := range all {
			links = append(links, snapshot.Link{Index: l.Index, Name: l.Name, MAC: l.HardwareAddr.String()})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return links
}

// sendARP asks who has an address.
func sendARP(t *testing.T, fd, ifindex int, mac string, from, to netip.Addr) {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(buf, gopacket.SerializeOptions{},
		&layers.Ethernet{SrcMAC: hw, DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: hw, SourceProtAddress: from.AsSlice(), DstHwAddress: make([]byte, 6), DstProtAddress: to.AsSlice(),
		})
	if err == nil {
		err = unix.Sendto(fd, buf.Bytes(), 0, &unix.SockaddrLinklayer{Ifindex: ifindex})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answersOfARP are those to whom an answer came, until none comes any more: the router answers before a request is sent whole.
func answersOfARP(t *testing.T, fd int) map[netip.Addr]bool {
	t.Helper()
	out := map[netip.Addr]bool{}
	buf := make([]byte, 256)
	for quiet := time.Now().Add(200 * time.Millisecond); time.Now().Before(quiet); {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(p, 100)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n >= 42 && buf[21] == 2 {
			out[netip.AddrFrom4([4]byte(buf[38:42]))] = true
			quiet = time.Now().Add(200 * time.Millisecond)
		}
	}
	return out
}
