package rtnl

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

func TestXfrm(t *testing.T) {
	ns := newNS(t)
	if !ns.try("ip xfrm policy list") {
		nettest.Needs(t, false, "xfrm in the kernel")
	}
	const key = "0x4541544d59534543524554535041434531323334"
	ns.ip(`xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 proto udp sport 1 dport 4789 dir out priority 7 mark 0xd0c4e3 mask 0xffffff tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 13681891 mode transport
		xfrm policy add src fd00:1::/64 dst fd00:2::/64 dir in action block priority 9 if_id 5 tmpl src fd00::1 dst fd00::2 proto esp spi 0x77 reqid 2 mode tunnel
		xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd`)
	// ESP itself is not in every kernel; AH neither. What the kernel takes is compared.
	states := 0
	for line := range strings.Lines(`ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 reqid 13681891 mode transport replay-window 32 mark 0xd0c4e3 mask 0xffffff aead rfc4106(gcm(aes)) ` + key + ` 64
ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1002 reqid 5 mode tunnel if_id 5 auth hmac(sha1) ` + key + ` enc cbc(aes) 0x0123456789abcdef0123456789abcdef sel src 10.1.0.0/16 dst 10.2.0.0/16
ip xfrm state add src fd00::1 dst fd00::2 proto esp spi 0x1003 reqid 6 mode tunnel aead rfc4106(gcm(aes)) ` + key + ` 128 flag esn replay-window 128
`) {
		if ns.try(strings.TrimSpace(line)) {
			states++
		} else if os.Getenv(mustHaveKinds) == "1" {
			t.Errorf("cannot: %s", line)
		}
	}
	ns.ip("xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel reqid 7 min 100 max 100") // every kernel takes this
	states++
	got := ns.read().Xfrm
	for i := range got.Policies {
		if got.Policies[i].Index == 0 {
			t.Errorf("policy without index: %+v", got.Policies[i])
		}
	}
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	want := []snapshot.XfrmPolicy{
		{Dir: "fwd", Src: p("0.0.0.0/0"), Dst: p("0.0.0.0/0"), Action: "allow", Tmpls: []snapshot.XfrmTemplate{}},
		{Dir: "in", Src: p("fd00:1::/64"), Dst: p("fd00:2::/64"), Action: "block", Priority: 9, IfID: 5, Tmpls: []snapshot.XfrmTemplate{
			{Src: a("fd00::1"), Dst: a("fd00::2"), Proto: "esp", Mode: "tunnel", ReqID: 2, SPI: 0x77}}},
		{Dir: "out", Src: p("10.1.0.0/16"), Dst: p("10.2.0.0/16"), Proto: 17, SPort: 1, DPort: 4789, Action: "allow", Priority: 7,
			Mark: 0xd0c4e3, MarkMask: 0xffffff, Tmpls: []snapshot.XfrmTemplate{
				{Src: a("192.0.2.1"), Dst: a("192.0.2.2"), Proto: "esp", Mode: "transport", ReqID: 13681891}}},
	}
	opts := gocmp.Options{gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmpopts.IgnoreFields(snapshot.XfrmPolicy{}, "Index")}
	if d := gocmp.Diff(want, got.Policies, opts); d != "" {
		t.Errorf("policies (-want +got):\n%s", d)
	}
	text := nettest.Run(t, ns.Handle, "ip", "-s", "xfrm", "state", "list")
	t.Logf("%d states\n%s", states, text)
	if len(got.States) != states || strings.Count(text, "proto esp") != states {
		t.Fatalf("%d states, made %d", len(got.States), states)
	}
	wantStates := map[uint32]snapshot.XfrmState{
		100: {Src: a("192.0.2.1"), Dst: a("192.0.2.2"), Proto: "esp", SPI: 100, ReqID: 7, Mode: "tunnel",
			SelSrc: p("192.0.2.1/32"), SelDst: p("192.0.2.2/32")},
		0x1001: {Src: a("192.0.2.1"), Dst: a("192.0.2.2"), Proto: "esp", SPI: 0x1001, ReqID: 13681891, Mode: "transport", AEAD: "rfc4106(gcm(aes))",
			Mark: 0xd0c4e3, MarkMsk: 0xffffff, SelSrc: p("0.0.0.0/0"), SelDst: p("0.0.0.0/0"), Replay: 32},
		0x1002: {Src: a("192.0.2.1"), Dst: a("192.0.2.2"), Proto: "esp", SPI: 0x1002, ReqID: 5, Mode: "tunnel", Auth: "hmac(sha1)", Crypt: "cbc(aes)",
			IfID: 5, SelSrc: p("10.1.0.0/16"), SelDst: p("10.2.0.0/16")},
		0x1003: {Src: a("fd00::1"), Dst: a("fd00::2"), Proto: "esp", SPI: 0x1003, ReqID: 6, Mode: "tunnel", AEAD: "rfc4106(gcm(aes))",
			SelSrc: p("::/0"), SelDst: p("::/0"), Replay: 128},
	}
	for _, s := range got.States {
		if d := gocmp.Diff(wantStates[s.SPI], s, opts); d != "" {
			t.Errorf("state %#x (-want +got):\n%s", s.SPI, d)
		}
	}
}

// TestXfrmTraffic encrypts packets and compares what the states have counted with `ip -s xfrm state`.
func TestXfrmTraffic(t *testing.T) {
	a, b := newNS(t), newNS(t)
	const state = "ip xfrm state add src %s dst %s proto esp spi %s reqid 13681891 mode transport replay-window 32 aead rfc4106(gcm(aes)) 0x4541544d59534543524554535041434531323334 64"
	if !a.try(fmt.Sprintf(state, "192.0.2.9", "192.0.2.8", "0x99")) {
		needsKernel(t, false, "ESP")
	}
	a.ip("link add e0 type veth peer name e0 netns " + b.path())
	for _, n := range []struct {
		testNS
		own, other string
	}{{a, "192.0.2.1", "192.0.2.2"}, {b, "192.0.2.2", "192.0.2.1"}} {
		n.ip("addr add " + n.own + "/24 dev e0\nlink set e0 up")
		for _, line := range []string{fmt.Sprintf(state, "192.0.2.1", "192.0.2.2", "0x1"), fmt.Sprintf(state, "192.0.2.2", "192.0.2.1", "0x2")} {
			if !n.try(line) {
				t.Fatalf("cannot: %s", line)
			}
		}
		const policy = "xfrm policy add src %s dst %s proto udp dir %s tmpl src %s dst %s proto esp reqid 13681891 mode transport"
		n.ip(fmt.Sprintf(policy, n.own, n.other, "out", n.own, n.other))
		n.ip(fmt.Sprintf(policy, n.other, n.own, "in", n.other, n.own))
	}
	nettest.Run(t, a.Handle, "bash", "-c", "for i in 1 2 3 4 5; do printf '%100s' x >/dev/udp/192.0.2.2/9 || true; done 2>/dev/null")
	current := regexp.MustCompile(`spi 0x0*([0-9a-f]+)\((?s:.*?)lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)`)
	counted := uint64(0)
	for _, n := range []testNS{a, b} {
		agree(t, func() string {
			var lines, wantLines []string
			for _, s := range n.read().Xfrm.States {
				lines = append(lines, fmt.Sprintf("%x %d %d", s.SPI, s.Bytes, s.Packets))
				if s.SPI == 1 {
					counted = s.Packets
				}
			}
			for _, m := range current.FindAllStringSubmatch(nettest.Run(t, n.Handle, "ip", "-s", "xfrm", "state", "list"), -1) {
				wantLines = append(wantLines, m[1]+" "+m[2]+" "+m[3])
			}
			slices.Sort(lines)
			slices.Sort(wantLines)
			return gocmp.Diff(wantLines, lines)
		})
		if counted != 5 {
			t.Errorf("%d packets were encrypted or decrypted, want 5", counted)
		}
	}
}
