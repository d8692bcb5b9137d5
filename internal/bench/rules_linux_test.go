package bench

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Limits of reading rules.
const (
	manyRules    = 100000
	maxRulesTime = 2 * time.Second
	maxRulesHeap = 400 << 20
	maxDocker    = 2.0 // Docker's usual rules over the bare dump of them
)

// input runs a program inside with this on its standard input.
func input(tb testing.TB, h *netns.Handle, text, name string, args ...string) {
	tb.Helper()
	err := h.Do(func() error {
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.300s", name, err, out)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// iptablesServices are rules as kube-proxy makes for services, ten for each: a port that leads to a chain, and in there a random
// choice of an endpoint whose chain marks and translates.
func iptablesServices() string {
	var chains, rules strings.Builder
	chains.WriteString("*nat\n:KUBE-SERVICES - [0:0]\n")
	for i := range manyRules / 10 {
		fmt.Fprintf(&chains, ":KUBE-SVC-%06d - [0:0]\n:KUBE-SEP-%06dA - [0:0]\n:KUBE-SEP-%06dB - [0:0]\n:KUBE-SEP-%06dC - [0:0]\n", i, i, i, i)
		fmt.Fprintf(&rules, "-A KUBE-SERVICES -d 10.96.%d.%d/32 -p tcp -m comment --comment \"ns/svc-%d:http cluster IP\" -m tcp --dport %d -j KUBE-SVC-%06d\n",
			i>>8&255, i&255, i, 80+i%10, i)
		for j, last := range []string{"A", "B", "C"} {
			p := ""
			if j < 2 {
				p = fmt.Sprintf(" -m statistic --mode random --probability %.5f", 1/float64(3-j))
			}
			fmt.Fprintf(&rules, "-A KUBE-SVC-%06d%s -j KUBE-SEP-%06d%s\n", i, p, i, last)
			fmt.Fprintf(&rules, "-A KUBE-SEP-%06d%s -s 10.244.%d.%d/32 -j MARK --set-xmark 0x4000/0x4000\n", i, last, i&255, j+1)
			fmt.Fprintf(&rules, "-A KUBE-SEP-%06d%s -p tcp -m tcp -j DNAT --to-destination 10.244.%d.%d:8080\n", i, last, i&255, j+1)
		}
	}
	return chains.String() + rules.String() + "COMMIT\n"
}

// nftServices are the same with fewer services of fifty rules and one map each: nft needs minutes to load ten thousand maps.
func nftServices() string {
	var b strings.Builder
	b.WriteString("table ip kube {\nchain marked { meta mark set mark or 0x4000\n}\n")
	for i := range manyRules / 50 {
		for j := range 23 {
			fmt.Fprintf(&b, "chain ep_%d_%d {\nip saddr 10.244.%d.%d jump marked\nmeta l4proto tcp counter dnat to 10.244.%d.%d:8080\n}\n", i, j, i&255, j+1, i&255, j+1)
		}
		fmt.Fprintf(&b, "chain svc_%d {\nip daddr 10.96.%d.%d tcp dport %d ip saddr != 10.244.0.0/16 jump marked comment \"svc-%d\"\n", i, i>>8&255, i&255, 80+i%10, i)
		b.WriteString("ct state established,related accept\niifname \"eth*\" counter\nnumgen random mod 23 vmap { ")
		for j := range 23 {
			fmt.Fprintf(&b, "%d : goto ep_%d_%d, ", j, i, j)
		}
		b.WriteString("}\n}\n")
	}
	return b.String() + "}\n"
}

// readRules reads the rules of a namespace, in it: nftables', or those of legacy iptables.
func readRules(tb testing.TB, h *netns.Handle, backend string) *snapshot.Namespace {
	ns := new(snapshot.Namespace)
	gap := func(reader string, err error, needs string) { tb.Errorf("%s: %v (%s)", reader, err, needs) }
	err := h.Do(func() error {
		if backend == snapshot.NfLegacy {
			netfilter.ReadLegacy(ns, gap)
			return nil
		}
		c, err := netfilter.Open()
		if err != nil {
			return err
		}
		defer c.Close()
		c.Read(ns, gap)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return ns
}

// BenchmarkRules reads 100,000 rules in one namespace, as a kube-proxy makes them.
func BenchmarkRules(b *testing.B) {
	nettest.NeedsRoot(b)
	nettest.NeedsTool(b, "nft", "iptables-nft-restore", "iptables-legacy-restore")
	for _, kind := range []string{"nft", "iptables-nft", "iptables-legacy"} {
		b.Run(kind, func(b *testing.B) {
			h, backend := nettest.New(b), snapshot.NfNft
			switch kind {
			case "nft":
				input(b, h, nftServices(), "nft", "-f", "-")
			case "iptables-nft":
				input(b, h, iptablesServices(), "iptables-nft-restore")
			default:
				_, err := nettest.Try(h, "iptables-legacy", "-t", "nat", "-n", "-L")
				nettest.Needs(b, err == nil, "a kernel with legacy iptables")
				backend = snapshot.NfLegacy
				input(b, h, iptablesServices(), "iptables-legacy-restore")
			}
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				var ns *snapshot.Namespace
				read := func() (took, clock time.Duration) {
					start, began := cpuTime(b), time.Now()
					ns = readRules(b, h, backend)
					return cpuTime(b) - start, time.Since(began)
				}
				took, clock := read()
				runtime.ReadMemStats(&after)
				for range 2 { // the least of three: what is more is what else the machine did
					ns = nil
					runtime.GC()
					t, c := read()
					took, clock = min(took, t), min(clock, c)
				}
				b.ReportMetric(clock.Seconds(), "wall-s")
				rules, unknown := 0, 0
				for _, t := range ns.Netfilter.Tables {
					for _, c := range t.Chains {
						rules += len(c.Rules)
						for _, r := range c.Rules {
							if r.Unknown != nil {
								unknown++
							}
						}
					}
				}
				if rules < manyRules || unknown > 0 {
					b.Errorf("%d rules, %d unknown", rules, unknown)
				}
				report(b, took.Seconds(), maxRulesTime.Seconds(), "cpu-s")
				// HeapSys is what the heap has taken of the system at its largest.
				report(b, float64(after.HeapSys-after.HeapReleased)/1e6, maxRulesHeap/1e6, "heap-MB")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "live-MB")
			}
		})
	}
}

// cpuTime is how long this process has been running on a processor, in it and in the kernel: what the wall clock would tell of one
// that has the machine for itself.
func cpuTime(tb testing.TB) time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

var nftDumps = []uint16{10<<8 | 1, 10<<8 | 10, 10<<8 | 4, 10<<8 | 7, 10<<8 | 19, 10<<8 | 23} // tables, sets, chains, rules, objects, flowtables

// BenchmarkDockerRules compares reading a namespace with Docker's usual rules with a dump of the same that nothing decodes.
func BenchmarkDockerRules(b *testing.B) {
	nettest.NeedsRoot(b)
	nettest.NeedsTool(b, "iptables-nft-restore")
	h := nettest.New(b)
	input(b, h, dockerRules, "iptables-nft-restore")
	bare := func() {
		err := h.Do(func() error {
			s, err := nlwire.Open(unix.NETLINK_NETFILTER)
			if err != nil {
				return err
			}
			defer s.Close()
			for _, typ := range nftDumps {
				if err := s.Do(nlwire.NewRequest(typ, unix.NLM_F_DUMP, make([]byte, 4)), func(nlwire.Message) {}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	const times = 100
	many := func(f func()) float64 {
		start := cpuTime(b)
		for range times {
			f()
		}
		return float64((cpuTime(b) - start).Nanoseconds()) / times / 1000
	}
	for b.Loop() {
		// One beside the other, many times over, and the middle of the ratios: a machine that others share is fast for a while and then slow.
		var bares, reads, ratios []float64
		for range 60 {
			x, y := many(bare), many(func() { readRules(b, h, snapshot.NfNft) })
			bares, reads, ratios = append(bares, x), append(reads, y), append(ratios, y/x)
		}
		b.ReportMetric(medianOf(bares), "bare-µs")
		b.ReportMetric(medianOf(reads), "read-µs")
		report(b, medianOf(ratios), maxDocker, "read/bare")
		b.Logf("a tenth is below %.2f, a tenth above %.2f", ratios[len(ratios)/10], ratios[len(ratios)*9/10]) // medianOf has sorted them
	}
}

// dockerRules are those of a Docker 20.10 with one network beside bridge and two published ports.
const dockerRules = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -o br-1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-1 -j DOCKER
-A FORWARD -i br-1 ! -o br-1 -j ACCEPT
-A FORWARD -i br-1 -o br-1 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.18.0.2/32 ! -i br-1 -o br-1 -p udp -m udp --dport 53 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i br-1 ! -o br-1 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o br-1 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.18.0.0/16 ! -o br-1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER -i br-1 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i br-1 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.18.0.2:53
COMMIT
`
