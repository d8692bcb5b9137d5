package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/probe"
)

// flat makes n namespaces on one bridge, m1 (10.62.0.1), m2 (10.62.0.2) …, and the members of a matrix of them.
func flat(t testing.TB, n int) (sw *netlab.Space, spaces []*netlab.Space, members []probe.Member) {
	t.Helper()
	sw = space(t, "switch")
	must(t, sw.Bridge("br0", netip.Prefix{}))
	for i := range n {
		s := space(t, fmt.Sprintf("m%d", i+1))
		port := fmt.Sprintf("p%d", i+1)
		must(t, sw.Veth(port, s, "eth0"))
		must(t, sw.SetMaster(port, "br0"))
		must(t, s.Addr("eth0", netip.PrefixFrom(memberAddr(i), 16)))
		spaces = append(spaces, s)
		members = append(members, matrixMember(s, i))
	}
	return sw, spaces, members
}

func matrixMember(s *netlab.Space, i int) probe.Member {
	return probe.Member{From: from(s), To: func(int) probe.To {
		return probe.To{Asked: s.Name, Name: s.Name, Addrs: []netip.Addr{memberAddr(i)}}
	}}
}

func memberAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 62, 0, byte(i + 1)}) }

// star makes n members with an address of their own each behind one router: no neighbour but that.
func star(t testing.TB, n int) (r *netlab.Space, spaces []*netlab.Space, members []probe.Member) {
	t.Helper()
	r = space(t, "router")
	nettest.Run(t, r.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; ip addr add 10.62.255.1/32 dev lo")
	var batch strings.Builder
	for i := range n {
		s := space(t, fmt.Sprintf("m%d", i+1))
		port := fmt.Sprintf("p%d", i+1)
		must(t, r.Veth(port, s, "eth0"))
		must(t, s.Addr("eth0", netip.PrefixFrom(memberAddr(i), 32)))
		nettest.Run(t, s.Handle, "ip", "route", "add", "default", "via", "10.62.255.1", "dev", "eth0", "onlink")
		fmt.Fprintf(&batch, "ip route add %v dev %s;", memberAddr(i), port)
		spaces = append(spaces, s)
		members = append(members, matrixMember(s, i))
	}
	nettest.Run(t, r.Handle, "sh", "-c", batch.String())
	return r, spaces, members
}

func classes(r *probe.MatrixResult) map[probe.Class]int {
	n := map[probe.Class]int{}
	for _, c := range r.Cells {
		n[c.Class]++
	}
	return n
}

// serveAll accepts connections to a port of every member until the test ends.
func serveAll(t testing.TB, spaces []*netlab.Space, port string) {
	t.Helper()
	for _, s := range spaces {
		var l net.Listener
		must(t, s.Do(func() (err error) { l, err = net.Listen("tcp4", "0.0.0.0:"+port); return err }))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		t.Cleanup(func() { l.Close(); <-done })
	}
}

// TestMatrixLarge is the criterion of 50 members in 3 s, healthy and with a fifth of the members silent. They are behind one
// router: on one bridge the kernel's neighbour table, which all of this host share, would be too small (1,024 entries).
func TestMatrixLarge(t *testing.T) {
	_, spaces, members := star(t, 50)
	serveAll(t, spaces, "80")
	for _, c := range []struct {
		name string
		m    probe.MatrixOptions
	}{{"ping", probe.MatrixOptions{}}, {"tcp", probe.MatrixOptions{TCP: 80}}} {
		for _, silent := range []int{0, 10} {
			for _, s := range spaces[:silent] {
				nettest.Run(t, s.Handle, "iptables", "-I", "INPUT", "-p", map[string]string{"ping": "icmp", "tcp": "tcp"}[c.name], "-j", "DROP")
			}
			best := probe.MS(0)
			for range 3 {
				r, err := probe.Matrix(t.Context(), members, probe.Options{}, c.m)
				must(t, err)
				// The silent ones get no answers either where their own INPUT drops them.
				want := map[probe.Class]int{probe.OK: (50 - silent) * (50 - silent - 1)}
				if silent > 0 {
					want[probe.Timeout] = 50*49 - want[probe.OK]
				}
				if got := classes(r); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s, %d silent: %v, want %v\n%s", c.name, silent, got, want, matrixText(r))
				}
				if best == 0 || r.TookMS < best {
					best = r.TookMS
				}
				if best < 3000 {
					break
				}
			}
			t.Logf("%s, %d silent: %v", c.name, silent, best)
			if best >= 3000 {
				t.Errorf("%s, %d silent: the best of three took %v, want less than 3 s", c.name, silent, best)
			}
		}
	}
}

func BenchmarkMatrix50(b *testing.B) {
	_, _, members := star(b, 50)
	for b.Loop() {
		r, err := probe.Matrix(b.Context(), members, probe.Options{}, probe.MatrixOptions{})
		must(b, err)
		if !r.OK {
			b.Fatal(matrixText(r))
		}
	}
}

// TestMatrixRandom breaks random pairs in random ways and wants every cell exactly so.
func TestMatrixRandom(t *testing.T) {
	const n = 8
	_, spaces, members := flat(t, n)
	serveAll(t, spaces, "80")
	seed := seed.Of(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	ways := []struct {
		rule  string // in who is asked, by its source; or with OUTPUT in who asks, by its destination
		class probe.Class
		by    string // asked, asker or nobody
	}{
		{"INPUT -j DROP", probe.Timeout, ""},
		{"INPUT -j REJECT --reject-with icmp-admin-prohibited", probe.Filtered, "asked"},
		{"INPUT -j REJECT --reject-with icmp-port-unreachable", probe.Refused, "asked"},
		{"INPUT -j REJECT --reject-with icmp-host-unreachable", probe.Unreachable, "asked"},
		{"INPUT -j REJECT --reject-with icmp-net-unreachable", probe.NoRoute, "asked"},
		{"OUTPUT -j DROP", probe.Denied, ""},
		{"unreachable", probe.Unreachable, ""},
		{"prohibit", probe.Denied, ""},
	}
	check := func(name string, m probe.MatrixOptions, want map[[2]int]int) {
		t.Helper()
		r, err := probe.Matrix(t.Context(), members, probe.Options{Timeout: 700 * time.Millisecond}, m)
		must(t, err)
		if len(r.Cells) != n*(n-1) || r.OK != (len(want) == 0) {
			t.Errorf("%s (seed %d): %d cells, ok %v", name, seed, len(r.Cells), r.OK)
		}
		for _, c := range r.Cells {
			class, by := probe.OK, ""
			if w, broken := want[[2]int{c.From, c.To}]; broken {
				class = ways[w].class
				if ways[w].by == "asked" {
					by = memberAddr(c.To).String()
				}
				if m.TCP != 0 && ways[w].rule == "OUTPUT -j DROP" {
					class = probe.Timeout // TCP takes a SYN that its own firewall dropped for a lost one
				}
			}
			if c.Class != class || c.By != by || c.NotCertain != "" {
				t.Errorf("%s (seed %d): m%d → m%d: %+v, want %s by %q", name, seed, c.From+1, c.To+1, c, class, by)
			}
		}
		if t.Failed() {
			t.Log(matrixText(r))
		}
	}
	check("healthy", probe.MatrixOptions{}, nil)
	check("healthy tcp", probe.MatrixOptions{TCP: 80}, nil)
	want := map[[2]int]int{}
	used := map[[2]int]bool{} // a broken pair breaks the way back of some others
	for range n * 2 {
		a, b := rnd.IntN(n), rnd.IntN(n)
		if a == b || used[[2]int{a, b}] || used[[2]int{b, a}] {
			continue
		}
		used[[2]int{a, b}] = true
		w := rnd.IntN(len(ways))
		want[[2]int{a, b}] = w
		src, dst := memberAddr(a).String(), memberAddr(b).String()
		rule := strings.Fields(ways[w].rule)
		// Only what begins is broken: the answers of the way back pass. Routes break both.
		switch rule[0] {
		case "INPUT":
			for _, what := range [][]string{{"-p", "icmp", "--icmp-type", "echo-request"}, {"-p", "tcp", "--syn"}} {
				args := append([]string{"-A", "INPUT", "-s", src}, what...)
				nettest.Run(t, spaces[b].Handle, "iptables", append(args, rule[1:]...)...)
			}
		case "OUTPUT":
			for _, what := range [][]string{{"-p", "icmp", "--icmp-type", "echo-request"}, {"-p", "tcp", "--syn"}} {
				args := append([]string{"-A", "OUTPUT", "-d", dst}, what...)
				nettest.Run(t, spaces[a].Handle, "iptables", append(args, rule[1:]...)...)
			}
		default:
			nettest.Run(t, spaces[a].Handle, "ip", "route", "add", rule[0], dst)
			want[[2]int{b, a}] = 0 // no answer finds its way
		}
	}
	check("broken", probe.MatrixOptions{}, want)
	check("broken tcp", probe.MatrixOptions{TCP: 80}, want)
}

// TestMatrixRateLimit has a router that rejects more than the kernel tells: what stays silent must not be called a timeout
// with certainty.
func TestMatrixRateLimit(t *testing.T) {
	r, spaces, members := star(t, 16)
	serveAll(t, spaces, "80")
	for who, m := range []probe.MatrixOptions{{}, {TCP: 80}} {
		if who == 0 {
			healthy, err := probe.Matrix(t.Context(), members, probe.Options{}, m)
			must(t, err)
			if !healthy.OK {
				t.Fatal(matrixText(healthy))
			}
			// One is silent for a known reason, where nothing else is in doubt.
			nettest.Run(t, r.Handle, "iptables", "-I", "FORWARD", "-s", memberAddr(14).String(), "-d", memberAddr(15).String(), "-j", "DROP")
		}
		// Each time another one: how many errors the router may send is counted for each who gets them.
		nettest.Run(t, r.Handle, "iptables", "-A", "FORWARD", "-s", memberAddr(who).String(), "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
		// Its answers to others are rejected too, which uses up errors that its questions would get.
		got, err := probe.Matrix(t.Context(), members, probe.Options{Timeout: 400 * time.Millisecond}, m)
		must(t, err)
		filtered, doubtful := 0, 0
		for _, c := range got.Cells {
			switch {
			case c.From == who && c.Class == probe.Filtered:
				filtered++
			case c.From == who && c.Class == probe.Timeout && c.NotCertain != "":
				doubtful++
			case c.From == who:
				t.Errorf("%+v: a rejected pair", c)
			case c.From == 14 && c.To == 15 && (c.Class != probe.Timeout || c.NotCertain != ""):
				t.Errorf("%+v: a dropped pair", c)
			}
		}
		if filtered == 0 || filtered+doubtful != 15 {
			t.Errorf("%d filtered, %d doubtful\n%s", filtered, doubtful, matrixText(got))
		}
		t.Logf("%s: %d filtered, %d doubtful, %v", got.By, filtered, doubtful, got.TookMS)
	}
}

// TestMatrixEnds ends a matrix in the middle and lacks what a member needs.
func TestMatrixEnds(t *testing.T) {
	_, spaces, members := flat(t, 4)
	nettest.Run(t, spaces[3].Handle, "ip", "link", "set", "eth0", "down")
	for _, m := range []probe.MatrixOptions{{}, {TCP: 81}} {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		var known int
		m.Done = func(done, all int) { known = done }
		r, err := probe.Matrix(ctx, members, probe.Options{Timeout: 20 * time.Second}, m)
		cancel()
		must(t, err)
		// m4 has no route; what others ask of it is not known in this time.
		if n := classes(r); n[probe.NoRoute] != 3 || len(r.Cells) != 9 || r.Unasked != 3 || r.OK || known != 9 {
			t.Errorf("%v, %d cells, %d unasked, %d known\n%s", n, len(r.Cells), r.Unasked, known, matrixText(r))
		}
	}
	// A member twice, as two containers of one namespace are, does not ask itself.
	r, err := probe.Matrix(t.Context(), append(members[:2:2], members[0]), quick(), probe.MatrixOptions{})
	must(t, err)
	if len(r.Cells) != 4 || !r.OK {
		t.Errorf("%d cells\n%s", len(r.Cells), matrixText(r))
	}
}

// TestMatrixFiles has no more descriptors.
func TestMatrixFiles(t *testing.T) {
	_, _, members := flat(t, 6)
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	low := was
	fd, err := syscall.Open("/dev/null", syscall.O_CLOEXEC, 0)
	must(t, err)
	syscall.Close(fd)
	low.Cur = uint64(fd) + 3
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	for _, m := range []probe.MatrixOptions{{}, {TCP: 80}} {
		r, err := probe.Matrix(t.Context(), members, quick(), m)
		if err == nil || !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "too many open files: raise the limit") {
			t.Errorf("%v, %v", r, err)
		}
	}
}
