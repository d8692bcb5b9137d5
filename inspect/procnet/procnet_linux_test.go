package procnet

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

func sysctls(t *testing.T, ns *nettest.Handle) map[string]string {
	t.Helper()
	var m map[string]string
	if err := ns.Do(func() (err error) { m, err = Sysctls(nil); return err }); err != nil {
		t.Fatal(err)
	}
	return m
}

func counters(t *testing.T, ns *nettest.Handle) map[string]uint64 {
	t.Helper()
	var m map[string]uint64
	if err := ns.Do(func() (err error) { m, err = Counters(); return err }); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSysctlsAreTheFiles(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	// What differs between the two must differ in what is read: the namespace is the thread's.
	nettest.Run(t, a, "sh", "-c", `cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo "2000	3000" >ipv4/ip_local_port_range; echo 2 >ipv4/conf/all/rp_filter; echo 1 >ipv6/conf/all/disable_ipv6`)
	nettest.Run(t, b, "sh", "-c", `cd /proc/sys/net; echo 0 >ipv4/ip_forward`)
	for _, ns := range []*nettest.Handle{a, b} {
		got := sysctls(t, ns)
		if err := ns.Do(func() error {
			for _, g := range groups {
				for _, k := range g.keys {
					path := "/proc/sys/net/" + g.dir + "/" + k
					v, ok := got[strings.ReplaceAll(strings.TrimPrefix(path, "/proc/sys/"), "/", ".")]
					want, err := os.ReadFile(path)
					switch {
					case err != nil && ok:
						t.Errorf("%s = %q is no file", path, v)
					case err == nil && v != strings.TrimSuffix(string(want), "\n"):
						t.Errorf("%s = %q, the file has %q", path, v, want)
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got["net.ipv4.conf.all.forwarding"] != got["net.ipv4.ip_forward"] {
			t.Error("conf.all.forwarding is not ip_forward")
		}
	}
	ga, gb := sysctls(t, a), sysctls(t, b)
	if ga["net.ipv4.ip_forward"] != "1" || gb["net.ipv4.ip_forward"] != "0" || ga["net.ipv4.ip_local_port_range"] != "2000\t3000" || ga["net.ipv6.conf.all.disable_ipv6"] != "1" {
		t.Errorf("%q %q %q", ga["net.ipv4.ip_forward"], gb["net.ipv4.ip_forward"], ga["net.ipv4.ip_local_port_range"])
	}
}

// TestSysctlsOfTheFaults names what the list of faults wants proven, as far as this kernel has it.
func TestSysctlsOfTheFaults(t *testing.T) {
	got := sysctls(t, nettest.New(t))
	for _, k := range []string{
		"net.ipv4.ip_forward", "net.ipv4.ip_default_ttl", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.route_localnet",
		"net.ipv6.conf.all.forwarding", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max",
		"net.bridge.bridge-nf-call-iptables", "net.ipv4.tcp_keepalive_time", "net.ipv4.vs.conntrack", "net.ipv4.neigh.default.gc_thresh3",
	} {
		path := "/proc/sys/" + strings.ReplaceAll(k, ".", "/")
		if _, ok := got[k]; !ok {
			// Some are there only in the initial namespace, or not in this kernel.
			own, err := Sysctls(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := own[k]; !ok {
				if _, err := os.Stat(path); err == nil {
					t.Errorf("%s is a file and was not read", k)
				}
			}
		}
	}
}

func TestSysctlsAdds(t *testing.T) {
	m := map[string]string{"net.ipv4.conf.eth0.rp_filter": "2"}
	got, err := Sysctls(m)
	if err != nil || got["net.ipv4.conf.eth0.rp_filter"] != "2" || len(got) < 20 || len(m) != len(got) {
		t.Errorf("%d sysctls, %v", len(got), err)
	}
}

func TestCountersCount(t *testing.T) {
	ns := nettest.New(t)
	nettest.Run(t, ns, "ip", "link", "set", "lo", "up")
	before := counters(t, ns)
	err := ns.Do(func() error {
		// Nobody listens there: over IPv4 and IPv6.
		for _, to := range []string{"127.0.0.1:9", "[::1]:9"} {
			c, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			for range 3 {
				c.Write([]byte("x"))
			}
			c.Close()
			if c, err := net.Dial("tcp", to); err == nil {
				c.Close()
				return fmt.Errorf("somebody listens on %s", to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := counters(t, ns)
	for k, n := range map[string]uint64{"Udp.NoPorts": 1, "Udp6.NoPorts": 1, "Tcp.ActiveOpens": 2, "Tcp.AttemptFails": 2, "Tcp.OutRsts": 2, "Icmp.OutDestUnreachs": 1, "Icmp6.OutDestUnreachs": 1, "IpExt.InOctets": 100} {
		if after[k]-before[k] < n {
			t.Errorf("%s: %d, then %d", k, before[k], after[k])
		}
	}
	for k, v := range after {
		if v == 0 {
			t.Errorf("%s is zero and was not left out", k)
		}
	}

	// Every number of the files is in the map, and no other.
	want := map[string]uint64{}
	if err := ns.Do(func() error { return slowCounters(want) }); err != nil {
		t.Fatal(err)
	}
	after = counters(t, ns)
	for k, v := range want {
		if after[k] < v {
			t.Errorf("%s = %d, the file has %d", k, after[k], v)
		}
	}
	for k := range after {
		if _, ok := want[k]; !ok && !strings.HasPrefix(k, "conntrack.") && !strings.HasPrefix(k, "Xfrm.") {
			t.Errorf("%s is in no file", k)
		}
	}
}

// slowCounters reads the same files in the plainest way.
func slowCounters(into map[string]uint64) error {
	for _, f := range []string{"snmp", "netstat"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + f)
		if err != nil {
			return err
		}
		lines := strings.Split(string(b), "\n")
		for i := 0; i+1 < len(lines); i += 2 {
			names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
			for j := 1; j < len(names); j++ {
				key := strings.TrimSuffix(names[0], ":") + "." + names[j]
				if v, err := strconv.ParseUint(values[j], 10, 64); err == nil && v != 0 && !configured[key] {
					into[key] = v
				}
			}
		}
	}
	b, err := os.ReadFile("/proc/thread-self/net/snmp6")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if v, err := strconv.ParseUint(f[1], 10, 64); err == nil && v != 0 {
			into[strings.Replace(f[0], "6", "6.", 1)] = v
		}
	}
	return nil
}

// TestXfrm has an IPsec policy drop a packet.
func TestXfrm(t *testing.T) {
	ns := nettest.New(t)
	for _, args := range []string{"link add v type veth peer name w", "link set v up", "link set w up", "addr add 10.0.0.1/24 dev v"} {
		nettest.Run(t, ns, "ip", strings.Fields(args)...)
	}
	_, err := nettest.Try(ns, "ip", "xfrm", "policy", "add", "src", "10.0.0.1", "dst", "10.0.0.2", "dir", "out", "priority", "1", "action", "block")
	if _, statErr := os.Stat("/proc/thread-self/net/xfrm_stat"); err != nil || statErr != nil {
		nettest.Needs(t, false, "xfrm with statistics in the kernel")
	}
	if err := ns.Do(func() error {
		if c, err := net.Dial("udp", "10.0.0.2:9"); err == nil {
			c.Write([]byte("x"))
			c.Close()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := counters(t, ns); got["Xfrm.OutPolBlock"] == 0 {
		t.Errorf("%v", got)
	}
}

func TestConntrack(t *testing.T) {
	if _, err := os.Stat("/proc/thread-self/net/stat/nf_conntrack"); err != nil {
		nettest.Needs(t, false, "conntrack in the kernel")
	}
	nettest.NeedsTool(t, "nft")
	ns := nettest.New(t)
	nettest.Run(t, ns, "ip", "link", "set", "lo", "up")
	nettest.Run(t, ns, "nft", "add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c ct state new")
	if err := ns.Do(func() error {
		c, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := counters(t, ns)["conntrack.entries"]; n == 0 || n > 4 {
		t.Errorf("conntrack.entries = %d", n)
	}
}

func TestHostCounters(t *testing.T) {
	got, err := HostCounters("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if got["softnet.processed"] == 0 {
		t.Errorf("%v", got)
	}
	if _, err := HostCounters(t.TempDir()); err != nil {
		t.Errorf("a /proc without any: %v", err)
	}
}

func BenchmarkSysctls(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Sysctls(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCounters(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Counters(); err != nil {
			b.Fatal(err)
		}
	}
}
