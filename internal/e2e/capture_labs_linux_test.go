package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// upLab makes a lab that many kernels cannot: this one's lack is a skip.
func upLab(t *testing.T, mode string) (name func(space string) string) {
	t.Helper()
	nscope, lab := binary(t), fmt.Sprintf("%.3s%d", mode, os.Getpid())
	out, err := exec.Command(nscope, "lab", "up", mode, "--name", lab).CombinedOutput()
	if m := regexp.MustCompile(`this kernel has no (\S+):`).FindSubmatch(out); err != nil && m != nil {
		t.Skipf("skip: needs %s", m[1]) // where it is there it must pass, which who runs it there counts
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(nscope, "lab", "down", lab).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return func(space string) string { return "nscope-" + lab + "-" + space }
}

// wireObject is what is looked at of `capture -o json`.
type wireObject struct {
	If, Workload, Dir string
	Tunnel            *struct {
		Type string
		VNI  uint32
	}
	Src, Dst, Proto, Summary string
}

// TestCaptureEncrypted is a ping over an overlay that is inside ESP: at its plain interfaces it is what it is, on the wire between the hosts nothing but
// ESP is seen, named and not opened.
func TestCaptureEncrypted(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping")
	t.Parallel()
	name := upLab(t, "overlay-encrypted")
	ping := func() {
		t.Helper()
		if out, err := exec.Command("ip", "netns", "exec", name("c1"), "ping", "-c", "1", "-W", "10", "10.0.1.4").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	ping() // a healthy baseline, and neighbours are known
	c := startCapture(t, name("c1"), name("n1"), "net:backend", "-o", "json", "-c", "12", "-f", "icmp or esp or udp port 4789")
	ping()
	got := map[string]int{}
	for line := range strings.Lines(c.end(false)) {
		var o wireObject
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got[fmt.Sprintf("%s/%s %s %s", o.Workload, o.If, o.Dir, o.Proto)]++
		ends := []string{"10.0.1.2", "10.0.1.4"}
		if o.Proto == "esp" {
			ends = []string{"10.99.0.1", "10.99.0.2"}
			if o.Tunnel == nil || o.Tunnel.Type != "esp" || o.Tunnel.VNI == 0 || !strings.Contains(o.Summary, fmt.Sprintf("ESP spi 0x%x", o.Tunnel.VNI)) {
				t.Errorf("on the wire: %s", line)
			}
		} else if o.Tunnel != nil {
			t.Errorf("in plain, and in a tunnel: %s", line)
		}
		if !slices.Contains(ends, o.Src) || !slices.Contains(ends, o.Dst) || o.Src == o.Dst {
			t.Errorf("between others than %q: %s", ends, line)
		}
	}
	// The overlay's two namespaces, each with the container's link and the tunnel's.
	want := map[string]int{"c1/eth0 out icmp": 1, "c1/eth0 in icmp": 1, "/eth0 out esp": 1, "/eth0 in esp": 1, "/veth0 in icmp": 2, "/veth0 out icmp": 2, "/vxlan0 in icmp": 2, "/vxlan0 out icmp": 2}
	if !maps.Equal(got, want) {
		t.Errorf("seen: %v, want %v", got, want)
	}
}

// TestCaptureMesh is a request from outside to a node without a member: it goes by the balancer in the node's ingress namespace and the overlay to a
// member on another node, and is known again behind both translations.
func TestCaptureMesh(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "curl")
	t.Parallel()
	name := upLab(t, "ingress")
	ask := func() {
		t.Helper()
		for range 2 { // a member each
			if out, err := exec.Command("ip", "netns", "exec", name("out"), "curl", "-sS", "--max-time", "10", "http://10.99.0.3:8000/").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	ask() // a healthy baseline, and neighbours are known
	way := startCapture(t, "--path", name("out"), name("w2"), "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "-c", "1")
	ask()
	out := way.end(false)
	heads, hops := waysOf(t, out, name("sw")+"/")
	if len(hops) != 1 || !strings.Contains(heads[0], " → w2  10.99.0.254:") || !strings.Contains(heads[0], "→ 10.99.0.3:8000 TCP [S]") {
		t.Fatalf("the way of a request:\n%s", out)
	}
	var got []string
	for _, h := range hops[0] {
		got = append(got, regexp.MustCompile(`/1-\w+/`).ReplaceAllString(h.place, "/ov/")+" "+h.rest)
	}
	at := 0
	for _, want := range []string{
		name("out") + `/eth0 ▸`, name("n3") + `/eth0 ◂`, name("n3") + `/docker_gwbridge ▸ now 10\.99\.0\.254:\d+ → 172\.18\.0\.\d+:8000`, `ingress_sbox\S*/eth1 ◂`,
		`ingress_sbox\S*/eth0 ▸ now 10\.0\.0\.7:\d+ → 10\.0\.0\.6:8000`, name("n3") + `/ov/vxlan0 ▸`, name("n3") + `/eth0 ▸ vxlan 4096 10\.99\.0\.3→10\.99\.0\.2`,
		name("n2") + `/eth0 ◂ vxlan 4096 10\.99\.0\.3→10\.99\.0\.2`, name("n2") + `/ov/vxlan0 ◂`, `w2/eth0 ◂`,
	} {
		i := slices.IndexFunc(got[at:], regexp.MustCompile(want).MatchString)
		if i < 0 {
			t.Fatalf("no %q behind line %d of the way of a request:\n%s", want, at, out)
		}
		at += i + 1
	}
	if at != len(got) {
		t.Errorf("it goes on behind w2:\n%s", out)
	}
}
