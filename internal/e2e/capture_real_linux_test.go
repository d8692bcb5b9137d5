package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// beside is tcpdump where nscope captures: on one link of a namespace, into a file, until it has so many packets.
type beside struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	said *bufio.Scanner
}

// tcpdumpBeside starts it in the namespace of this path and waits until it listens.
func tcpdumpBeside(t *testing.T, netns, link, filter string, count int) *beside {
	t.Helper()
	b := &beside{t: t, file: filepath.Join(t.TempDir(), "beside.pcap")}
	b.cmd = exec.Command("nsenter", "--net="+netns, "tcpdump", "-Z", "root", "-U", "-i", link, "-c", fmt.Sprint(count), "-w", b.file, filter)
	pipe, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.cmd.Process.Kill() })
	b.said = bufio.NewScanner(pipe)
	for b.said.Scan() {
		if strings.Contains(b.said.Text(), "listening on") {
			return b
		}
	}
	t.Fatal("tcpdump did not begin")
	return nil
}

// fields waits for its end and gives what tshark says of its packets, a line each. flannel's UDP is told to be IP.
func (b *beside) fields(names ...string) []string {
	b.t.Helper()
	for b.said.Scan() {
	}
	if err := b.cmd.Wait(); err != nil {
		b.t.Fatal(err)
	}
	args := []string{"-n", "-r", b.file, "-d", "udp.port==8285,ip", "-d", "udp.port==8472,vxlan", "-T", "fields"}
	for _, n := range names {
		args = append(args, "-e", n)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// hop is one line of a way: where, and the rest of the line.
type hop struct{ place, rest string }

var hopLine = regexp.MustCompile(`^ +\+\S+ +(\S+) +(\S.*?) *$`)

// ways parts what --path printed into ways: the first line of each, and its hops. What lies between the hosts is left out where skip says so.
func waysOf(t *testing.T, out string, skip string) (heads []string, hops [][]hop) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		m := hopLine.FindStringSubmatch(line)
		switch {
		case line == "":
		case m == nil:
			heads, hops = append(heads, line), append(hops, nil)
		case len(hops) == 0:
			t.Fatalf("a hop before a packet:\n%s", out)
		case skip == "" || !strings.HasPrefix(m[1], skip):
			hops[len(hops)-1] = append(hops[len(hops)-1], hop{m[1], m[2]})
		}
	}
	return heads, hops
}

// TestCaptureFlannel is a ping over each of flannel's backends: each hop in order, and on the underlay the same outer and inner addresses, ports
// and VNI as tshark finds in what tcpdump took beside.
func TestCaptureFlannel(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping", "tshark", "tcpdump")
	for _, c := range []struct {
		mode, filter, device, outer string
		fields                      []string
	}{
		{"flannel-udp", "udp port 8285", "flannel0", "flannel-udp 10.98.0.1→10.98.0.2", []string{"udp.dstport"}},
		{"flannel-vxlan", "udp port 8472", "flannel.1", "vxlan 1 10.98.0.1→10.98.0.2", []string{"udp.dstport", "vxlan.vni"}},
		{"flannel-host-gw", "icmp", "", "", nil},
	} {
		t.Run(c.mode, func(t *testing.T) {
			nscope := binary(t)
			lab := fmt.Sprintf("fl%d", os.Getpid())
			name := func(space string) string { return "nscope-" + lab + "-" + space }
			must := func(args ...string) string {
				t.Helper()
				out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v\n%s", args, err, out)
				}
				return string(out)
			}
			must(nscope, "lab", "up", c.mode, "--name", lab)
			t.Cleanup(func() { must(nscope, "lab", "down", lab) })
			ping := func() {
				t.Helper()
				must("ip", "netns", "exec", name("p1"), "ping", "-c", "1", "-W", "5", "10.244.2.9")
			}
			ping() // a healthy baseline, and neighbours are known

			tcpdump := tcpdumpBeside(t, "/run/netns/"+name("n1"), "eth0", c.filter, 2)
			way := startCapture(t, "--path", name("p1"), name("p2"), "-c", "2", "icmp")
			wire := startCapture(t, name("n1"), "--on", "eth0", "-n", "-o", "json", "-c", "2", "inner", "icmp")
			ping()
			heads, hops := waysOf(t, way.end(false), name("sw")+"/")
			if len(hops) != 2 || !strings.Contains(heads[0], "p1 → p2  10.244.1.9 → 10.244.2.9 ICMP echo request") || !strings.Contains(heads[1], "p2 → p1  10.244.2.9 → 10.244.1.9 ICMP echo reply") {
				t.Fatalf("%q\n%q", heads, hops)
			}
			out, in := "▸", "◂"
			if c.outer != "" {
				out, in = "▸ "+c.outer, "◂ "+c.outer
			}
			want := []hop{{"p1/eth0", "▸"}, {name("n1") + "/vethp1", "◂"}, {name("n1") + "/cni0", "◂"}, {name("n1") + "/" + c.device, "▸"}, {name("n1") + "/eth0", out},
				{name("n2") + "/eth0", in}, {name("n2") + "/" + c.device, "◂"}, {name("n2") + "/cni0", "▸"}, {name("n2") + "/vethp2", "▸"}, {"p2/eth0", "◂"}}
			if c.device == "" {
				want = slices.Delete(slices.Delete(want, 6, 7), 3, 4)
			}
			if !slices.Equal(hops[0], want) {
				t.Errorf("the way of a ping:\n%q\nwant\n%q", hops[0], want)
			}
			sameOnWire(t, wire.end(false), tcpdump.fields(append([]string{"ip.src", "ip.dst"}, c.fields...)...))
		})
	}
}

var wireField = regexp.MustCompile(`"(src|dst|dport|vni)":"?([^",}]+)`)

// sameOnWire compares JSON objects of packets, one a line, with tshark's fields: ip.src and ip.dst (outer, inner), udp.dstport, vxlan.vni.
func sameOnWire(t *testing.T, objects string, fields []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(objects) {
		src, dst, more := []string{}, []string{}, []string{}
		for _, m := range wireField.FindAllStringSubmatch(line, -1) {
			switch m[1] {
			case "src":
				src = append(src, m[2])
			case "dst":
				dst = append(dst, m[2])
			default:
				more = append(more, m[2])
			}
		}
		got = append(got, strings.Join(append([]string{strings.Join(src, ","), strings.Join(dst, ",")}, more...), "\t"))
	}
	if len(got) != 2 || !slices.Equal(got, fields) {
		t.Errorf("on the wire:\n%q\ntshark says of what tcpdump took:\n%q", got, fields)
	}
}

// checkCapture captures a ping between two nodes, in a swarm of real engines.
func (w *swarmTruth) checkCapture(t *testing.T) {
	nettest.NeedsTool(t, "tshark", "tcpdump", "nsenter")
	first, last := w.lab.Nodes[0], w.lab.Nodes[1]
	cache, queue := w.container(t, "cache"), w.container(t, "queue")
	to := queue.NetworkSettings.Networks["backend"].IPAddress
	from := cache.NetworkSettings.Networks["backend"].IPAddress
	ping := func() { t.Helper(); first.Docker(t, "exec", "cache", "ping", "-c", "1", "-W", "5", to) }
	ping() // a healthy baseline
	vni := fmt.Sprint(w.networks["backend"].vni(t))
	netns := fmt.Sprintf("/proc/%d/ns/net", first.PidNSInit)
	tcpdump := tcpdumpBeside(t, netns, "eth0", "udp port 4789 and udp[8:4] = 0x08000000 and udp[39] = 1", 2) // ICMP in VXLAN
	way := startCapture(t, "--path", "container:"+cache.ID, "container:"+queue.ID, "-c", "2", "inner", "icmp")
	wire := startCapture(t, fmt.Sprintf("netns:%d", netnsInode(netns)), "--on", "eth0", "-n", "-o", "json", "-c", "2", "inner", "icmp")
	ping()
	out := way.end(false)
	heads, hops := waysOf(t, out, "")
	if len(hops) != 2 || !strings.Contains(heads[0], "cache → queue  "+from+" → "+to+" ICMP echo request") || !strings.Contains(heads[1], "queue → cache  "+to+" → "+from+" ICMP echo reply") {
		t.Fatalf("the way of a ping:\n%s", out)
	}
	outer := fmt.Sprintf("vxlan %s %s→%s", vni, first.Addr, last.Addr)
	var where []string
	for _, h := range hops[0] {
		where = append(where, h.place+" "+h.rest)
	}
	home := func(n *peer.Node) string { return `\S*` + n.Name }
	want := `^cache/eth\d ▸\n(` + home(first) + `\S*/)?1-\w+…?/veth\d+ ◂\n(` + home(first) + `\S*/)?1-\w+…?/vxlan0 ▸\n` + home(first) + `\S*/eth0 ▸ ` + outer + `\n(\S*sw\S*/\S+ [◂▸] ` + outer + `\n)*` +
		home(last) + `\S*/eth0 ◂ ` + outer + `\n(` + home(last) + `\S*/)?1-\w+…?/vxlan0 ◂\n(` + home(last) + `\S*/)?1-\w+…?/veth\d+ ▸\nqueue/eth\d ◂$`
	if !regexp.MustCompile(want).MatchString(strings.Join(where, "\n")) {
		t.Errorf("the way of a ping:\n%s\nwant %s", out, want)
	}
	sameOnWire(t, wire.end(false), tcpdump.fields("ip.src", "ip.dst", "udp.dstport", "vxlan.vni"))
}

// container is the one of this name.
func (w *swarmTruth) container(t *testing.T, name string) *dockerTruth {
	t.Helper()
	for _, c := range w.containers {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no container %s", name)
	return nil
}
