package capture

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestPathSpots: where packets between two ends of recorded labs may come by.
func TestPathSpots(t *testing.T) {
	for _, c := range []struct {
		lab, a, b string
		want      string
	}{
		{"overlay", "c1", "c3", "1-5bxp84asc6 1-5bxp84asc6 c1 c3 n1 n2"},
		{"macvlan", "c1", "c2", "c1 c2 host"},
		// A member of a service that the routing mesh publishes: also by the balancer of each node.
		{"ingress", "nscope-lab-out", "w2", "1-wy1fd7vrrj 1-wy1fd7vrrj 1-wy1fd7vrrj ingress_sbox ingress_sbox ingress_sbox n1 n2 n3 out sw w2"},
	} {
		s, err := snapshot.Load("../docs/examples/lab-" + c.lab + ".json.zst")
		if err != nil {
			t.Fatal(err)
		}
		g := topo.Build(s)
		spots, err := PathSpots(g, c.a, c.b)
		if err != nil {
			t.Errorf("%s: %v", c.lab, err)
			continue
		}
		var got []string
		for _, x := range spots {
			got = append(got, strings.TrimPrefix(x.Netns.Name, "nscope-lab-"))
		}
		slices.Sort(got)
		if list := strings.Join(got, " "); list != c.want {
			t.Errorf("%s: from %s to %s by %s, want %s", c.lab, c.a, c.b, list, c.want)
		}
	}
}

// TestSpots: which namespaces, or links in them, a TARGET stands for.
func TestSpots(t *testing.T) {
	for _, c := range []struct{ lab, target, want string }{
		{"vip", "lb:backend", "lb_5bxp84asc lb_5bxp84asc"},
		{"vip", "service:web", "w1 w2 w3"},
		{"ingress", "ingress", "ingress_sbox ingress_sbox ingress_sbox"},
		{"ingress", "lb:ingress", "nothing is known as"},
		{"bridge", "net:bridge", "nscope-lab-host/docker0"},
		{"bridge", "c1/eth0", "c1/eth0"},
		{"bridge", "if:docker0", "nscope-lab-host/docker0"},
		{"bridge", "all", "c1 c2 host nscope-lab-host nscope-lab-out"},
	} {
		s, err := snapshot.Load("../docs/examples/lab-" + c.lab + ".json.zst")
		if err != nil {
			t.Fatal(err)
		}
		spots, err := Spots(topo.Build(s), c.target)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.target, err)
			}
			continue
		}
		var got []string
		for _, x := range spots {
			name := x.Netns.Name
			if x.Link != nil {
				name += "/" + x.Link.Name
			}
			got = append(got, name)
		}
		slices.Sort(got)
		if list := strings.Join(got, " "); list != c.want {
			t.Errorf("%s, %s: %s, want %s", c.lab, c.target, list, c.want)
		}
	}
}

// echo is an echo request with an identification, that ways know again.
func echo(t *testing.T, id byte, src, dst string) *packet.Packet {
	t.Helper()
	from, to := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	b := slices.Concat([]byte{0x45, 0, 0, 28, 0, id, 0, 0, 64, packet.ICMP, 0, 0}, from[:], to[:], []byte{8, 0, 0, 0, 0, 1, 0, 1})
	var d packet.Decoder
	var p packet.Packet
	d.Decode(&p, b, len(b), packet.RawIP)
	if p.N != 1 || p.Heads[0].Proto != packet.ICMP {
		t.Fatal("not an echo request")
	}
	return &p
}

// TestWays: sightings come in any order of namespaces, some at one moment.
func TestWays(t *testing.T) {
	place := func(netns string) *text.Place { return &text.Place{Name: netns + "/eth0", Netns: netns} }
	a, b := end{map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true}, "a", "a"}, end{map[netip.Addr]bool{netip.MustParseAddr("10.0.0.9"): true}, "b", "b"}
	type seen struct {
		at       string
		nanos    int64
		dir      text.Dir
		src, dst string
	}
	for _, c := range []struct {
		name string
		seen []seen
		want string // the places in their order
		sum  string
		lost bool
	}{
		{"a macvlan's parent is told of it later", []seen{{"a", 1, text.Out, "10.0.0.1", "10.0.0.9"}, {"b", 2, text.In, "10.0.0.1", "10.0.0.9"}, {"host", 2, text.In, "10.0.0.1", "10.0.0.9"}}, "a host b", "10.0.0.1 → 10.0.0.9", false},
		{"both addresses are others on the way", []seen{{"mid", 2, text.In, "10.7.0.1", "10.7.0.9"}, {"b", 3, text.In, "10.7.0.1", "10.0.0.9"}, {"a", 1, text.Out, "10.0.0.1", "10.8.0.9"}}, "a mid b", "10.0.0.1 → 10.8.0.9", false},
		{"what was sent to the end goes on from there", []seen{{"a", 1, text.Out, "10.0.0.1", "10.0.0.9"}, {"b", 2, text.In, "10.0.0.1", "10.0.0.9"}, {"more", 3, text.In, "10.0.0.1", "10.7.0.9"}}, "a b more", "10.0.0.1 → 10.0.0.9", false},
		{"lost", []seen{{"mid", 2, text.In, "10.0.0.1", "10.0.0.9"}, {"a", 1, text.Out, "10.0.0.1", "10.0.0.9"}}, "a mid", "10.0.0.1 → 10.0.0.9", true},
		{"others'", []seen{{"mid", 2, text.In, "10.0.0.2", "10.0.0.3"}}, "", "", false},
	} {
		w := &Ways{ways: map[uint64]*Way{}, a: a, b: b, Keep: true}
		for _, s := range c.seen {
			w.Take(&text.Event{Packet: echo(t, 7, s.src, s.dst), Nanos: s.nanos, Dir: s.dir, Place: place(s.at)})
		}
		if early := w.Next(2); early != nil {
			t.Errorf("%s: told before its end", c.name)
		}
		way := w.Next(math.MaxInt64)
		if way == nil {
			if c.want != "" {
				t.Errorf("%s: no way", c.name)
			}
			continue
		}
		var got []string
		for _, s := range way.Sightings {
			got = append(got, s.Place.Netns)
			if s.Event == nil {
				t.Errorf("%s: the packet is not kept", c.name)
			}
		}
		if strings.Join(got, " ") != c.want || way.Arrived == c.lost || !strings.HasPrefix(way.Summary, c.sum) || strings.Contains(way.Text(), "not seen in b") != c.lost {
			t.Errorf("%s: %v, arrived %v:\n%s", c.name, got, way.Arrived, way.Text())
		}
		if w.Waiting() {
			t.Errorf("%s: more waits", c.name)
		}
	}
}
