package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/internal/nlwire"
)

// capturing is a running `nscope capture`.
type capturing struct {
	t      *testing.T
	cmd    *exec.Cmd
	pid    int // nscope's own, where the command only enters a host
	stderr *bufio.Scanner
	stdout strings.Builder
	said   chan string
}

// startCapture starts it and waits until its rings are open.
func startCapture(t *testing.T, args ...string) *capturing {
	t.Helper()
	return startCaptureBy(t, exec.Command(binary(t), append([]string{"capture"}, args...)...))
}

// startCaptureBy starts a command that captures, which the test's end kills.
func startCaptureBy(t *testing.T, cmd *exec.Cmd) *capturing {
	t.Helper()
	c := &capturing{t: t, cmd: cmd, said: make(chan string, 1<<16)}
	c.cmd.Stdout = &c.stdout
	pipe, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.pid = c.cmd.Process.Pid
	hung := time.AfterFunc(5*time.Minute, func() { _ = syscall.Kill(c.pid, syscall.SIGKILL) })
	t.Cleanup(func() { hung.Stop(); _ = c.cmd.Process.Kill() })
	c.stderr = bufio.NewScanner(pipe)
	go func() {
		for c.stderr.Scan() {
			c.said <- c.stderr.Text()
		}
		close(c.said)
	}()
	c.until("capturing in ")
	return c
}

// until waits for a line on standard error.
func (c *capturing) until(part string) {
	c.t.Helper()
	var all []string
	for line := range c.said {
		if all = append(all, line); strings.Contains(line, part) {
			return
		}
	}
	c.t.Fatalf("never said %q, but:\n%s", part, strings.Join(all, "\n"))
}

// end waits for it to end by itself (or stops it as ctrl-C does) and gives what it printed.
func (c *capturing) end(interrupt bool) string {
	c.t.Helper()
	if interrupt {
		_ = syscall.Kill(c.pid, syscall.SIGINT)
	}
	var all []string
	for line := range c.said {
		all = append(all, line)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("%v\n%s", err, strings.Join(all, "\n"))
	}
	return c.stdout.String()
}

// TestCapturePath is one ping over an overlay of two hosts: seen at each interface that it crosses, in order, named, with its VNI.
func TestCapturePath(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping", "tshark")
	nscope := binary(t)
	lab := fmt.Sprintf("cap%d", os.Getpid())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(nscope, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("nscope %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("lab", "up", "overlay", "--name", lab)
	t.Cleanup(func() { run("lab", "down", lab) })
	in := func(space string, args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", append([]string{"netns", "exec", "nscope-" + lab + "-" + space}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	c1, c3 := "nscope-"+lab+"-c1", "nscope-"+lab+"-c3"
	in("c1", "ping", "-c", "1", "-W", "5", "10.0.1.4") // a healthy baseline, and neighbours are known
	n1, n2 := "nscope-"+lab+"-n1", "nscope-"+lab+"-n2"

	c := startCapture(t, "--path", c1, c3, "inner", "icmp", "-c", "2")
	in("c1", "ping", "-c", "3", "-i", "0.01", "-W", "5", "10.0.1.4") // of which two packets are wanted
	out := c.end(false)
	way := `(?s)c1 → c3  10\.0\.1\.2 → 10\.0\.1\.4 ICMP echo request id \d+ seq 1 len 56\n` +
		` +\+0s  c1/eth0 +▸\n` +
		` +\S+  ` + n1 + `/1-\w+/veth0 +◂\n` +
		` +\S+  ` + n1 + `/1-\w+/vxlan0 +▸\n` +
		` +\S+  ` + n1 + `/eth0 +▸ vxlan 4097 10\.99\.0\.1→10\.99\.0\.2\n` +
		` +\S+  ` + n2 + `/eth0 +◂ vxlan 4097 10\.99\.0\.1→10\.99\.0\.2\n` +
		` +\S+  ` + n2 + `/1-\w+/vxlan0 +◂\n` +
		` +\S+  ` + n2 + `/1-\w+/veth0 +▸\n` +
		` +\S+  c3/eth0 +◂\n\n` +
		`\S+ c3 → c1  10\.0\.1\.4 → 10\.0\.1\.2 ICMP echo reply .*c1/eth0 +◂\n$`
	// The underlay's switch lies between the hosts: where a lab has links there, they are seen too.
	out = regexp.MustCompile(`(?m)^.* nscope-`+lab+`-sw/.*\n`).ReplaceAllString(out, "")
	if !regexp.MustCompile(way).MatchString(out) {
		t.Errorf("the way of a ping:\n%s\nwant:\n%s", out, way)
	}

	// The same into a file, which tshark opens: interface names, VNI, in the order of the way.
	file := filepath.Join(t.TempDir(), "p.pcapng")
	c = startCapture(t, "--path", c1, c3, "icmp", "-w", file, "-c", "2")
	in("c2", "ping", "-c", "1", "-W", "5", "10.0.1.4") // not between the two
	in("c1", "ping", "-c", "1", "-W", "5", "10.0.1.4")
	c.end(false)
	got, err := exec.Command("tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "vxlan.vni", "-e", "ip.src").Output()
	if err != nil {
		t.Fatal(err)
	}
	way = "^c1/eth0\t\t10.0.1.2\n" + n1 + `/1-\w+/veth0` + "\t\t10.0.1.2\n" + n1 + `/1-\w+/vxlan0` + "\t\t10.0.1.2\n" + n1 + "/eth0\t4097\t10.99.0.1,10.0.1.2\n" + n2 + "/eth0\t4097\t10.99.0.1,10.0.1.2\n" +
		n2 + `/1-\w+/vxlan0` + "\t\t10.0.1.2\n" + n2 + `/1-\w+/veth0` + "\t\t10.0.1.2\nc3/eth0\t\t10.0.1.2\nc3/eth0\t\t10.0.1.4\n(.*\n)+c1/eth0\t\t10.0.1.4\n$"
	got = regexp.MustCompile(`(?m)^nscope-`+lab+`-sw/.*\n`).ReplaceAll(got, nil)
	if !regexp.MustCompile(way).Match(got) {
		t.Errorf("tshark reads:\n%s\nwant:\n%s", got, way)
	}

	// The file names the containers' addresses, and nothing is asked of a name server.
	got, err = exec.Command("tshark", "-r", file, "-N", "n", "-T", "fields", "-e", "ip.src_host").Output()
	if err != nil || !strings.Contains(string(got), "c1") || !strings.Contains(string(got), "c3") {
		t.Errorf("names of the file: %v\n%s", err, got)
	}

	// JSON, by VNI and container.
	c = startCapture(t, n1, "vni", "4097", "and", "container", c3, "-o", "json", "-c", "1")
	in("c1", "ping", "-c", "1", "-W", "5", "10.0.1.4")
	var o struct {
		NS, If, Dir string
		Outer       struct{ Src, Dst, Proto string }
		Tunnel      struct {
			Type string
			VNI  uint32
			Port uint16
		}
		Src, Dst, Proto, Summary string
		SrcName                  string `json:"src_name"`
	}
	line := c.end(false)
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if o.Tunnel.Type != "vxlan" || o.Tunnel.VNI != 4097 || o.Tunnel.Port != 4789 || o.Outer.Src != "10.99.0.1" || o.Outer.Proto != "udp" || o.Src != "10.0.1.2" || o.Dst != "10.0.1.4" || o.If != "eth0" || o.SrcName != "c1" {
		t.Errorf("%s", line)
	}
}

// namedSpace makes a namespace of a name of its own, and gives that and what runs ip.
func namedSpace(t *testing.T, prefix string) (name string, ip func(args ...string)) {
	t.Helper()
	name = fmt.Sprintf("%s%d", prefix, os.Getpid())
	ip = func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	ip("netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	return name, ip
}

// TestCaptureLetsGo: a namespace that ends is let go of, also while somebody else has a socket in it, and what comes under the name that was
// asked for joins.
func TestCaptureLetsGo(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping")
	name, ip := namedSpace(t, "nscope-capgone")
	ip("-n", name, "link", "set", "lo", "up")
	h, err := netns.OpenPath("/run/netns/"+name, "")
	if err != nil {
		t.Fatal(err)
	}
	var engine *nlwire.Socket
	err = h.Do(func() (err error) { engine, err = nlwire.Open(unix.NETLINK_ROUTE); return err })
	h.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	c := startCapture(t, name, "icmp")
	ip("netns", "exec", name, "ping", "-c", "1", "127.0.0.1")
	ip("netns", "del", name)
	c.until("has ended")
	ip("netns", "add", name)
	ip("-n", name, "link", "set", "lo", "up")
	c.until(name + ": capturing")
	ip("netns", "exec", name, "ping", "-c", "1", "127.0.0.2")
	time.Sleep(200 * time.Millisecond) // until a block of the ring is handed over
	out := c.end(true)
	for _, a := range []string{"127.0.0.1 → 127.0.0.1 ICMP echo request", "127.0.0.1 → 127.0.0.2 ICMP echo request"} {
		if !strings.Contains(out, a) {
			t.Errorf("no %q in:\n%s", a, out)
		}
	}
}

// TestCaptureWaits: what is asked for need not be there yet.
func TestCaptureWaits(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping")
	name := fmt.Sprintf("nscope-capwait%d", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	c := startCapture(t, name, "--wait", "-c", "1", "icmp")
	c.until("waiting for " + name)
	ip("netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	ip("-n", name, "link", "set", "lo", "up")
	c.until(name + ": capturing")
	ip("netns", "exec", name, "ping", "-c", "1", "127.0.0.1")
	if out := c.end(false); !strings.Contains(out, name+"/lo") || !strings.Contains(out, "ICMP echo request") {
		t.Errorf("%q", out)
	}
}

// TestCaptureOneLink: the one link of a namespace that is asked for goes, and what comes under its name joins.
func TestCaptureOneLink(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping")
	name, ip := namedSpace(t, "nscope-caplink")
	link := func() {
		ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
		ip("-n", name, "address", "add", "192.0.2.1/24", "dev", "v0")
		for _, l := range []string{"lo", "v0", "v1"} {
			ip("-n", name, "link", "set", l, "up")
		}
		ip("-n", name, "neighbor", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "v0")
	}
	sent := func(to string) {
		_ = exec.Command("ip", "netns", "exec", name, "ping", "-c", "1", "-W", "1", to).Run() // nobody answers
	}
	link()
	c := startCapture(t, name, "--on", "v0", "icmp")
	sent("192.0.2.2")
	ip("-n", name, "link", "del", "v0")
	c.until(name + "/v0 is gone")
	link()
	c.until("capturing") // again
	sent("192.0.2.2")
	sent("192.0.2.1") // by lo
	time.Sleep(200 * time.Millisecond)
	out := c.end(true)
	if strings.Count(out, name+"/v0") != 2 || strings.Count(out, "echo request") != 2 {
		t.Errorf("two echo requests left by v0, but there are:\n%s", out)
	}
}

// TestExtcap: Wireshark's programs list a lab's containers, and capture in one by nscope.
func TestExtcap(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping", "tshark")
	nscope := binary(t)
	lab := fmt.Sprintf("ext%d", os.Getpid())
	if out, err := exec.Command(nscope, "lab", "up", "bridge", "--name", lab).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command(nscope, "lab", "down", lab).Run() })
	home := t.TempDir()
	dir := filepath.Join(home, ".config/wireshark/extcap")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(nscope, filepath.Join(dir, "nscope")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tshark := func(args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, "tshark", args...)
		c.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"))
		return c
	}
	list, err := tshark("-D").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, w := range strings.Fields(string(list)) {
		if w == "nscope-c1" || strings.HasPrefix(w, "nscope-") && strings.HasSuffix(w, "nscope-"+lab+"-c1") { // the shortest name that means it alone
			name = w
		}
	}
	if name == "" {
		t.Fatalf("c1 is not among tshark's interfaces:\n%s", list)
	}
	c := tshark("-n", "-i", name, "-f", "icmp", "-c", "2", "-T", "fields", "-e", "frame.interface_name", "-e", "ip.proto")
	var out, stderr strings.Builder
	c.Stdout, c.Stderr = &out, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// Pings until tshark has its two packets: when it is ready it does not say.
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for waiting := true; waiting; {
		_ = exec.Command("ip", "netns", "exec", "nscope-"+lab+"-c1", "ping", "-c", "1", "-W", "1", "172.17.0.1").Run()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			waiting = false
		case <-time.After(200 * time.Millisecond):
		}
	}
	if strings.Count(out.String(), "c1/eth0\t1\n") != 2 {
		t.Errorf("tshark captured:\n%s\n%s", out.String(), stderr.String())
	}
}

// TestCaptureKilled: what nscope leaves when it is killed while it writes is a whole file, also one that Wireshark asked for by its protocol, with
// its options.
func TestCaptureKilled(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ip", "ping", "tshark")
	name, ip := namedSpace(t, "nscope-capkill")
	ip("-n", name, "link", "set", "lo", "up")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ping := exec.CommandContext(ctx, "ip", "netns", "exec", name, "ping", "-q", "-i", "0.005", "127.0.0.1")
	if err := ping.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ping.Process.Kill(); _ = ping.Wait() }()
	for i, args := range [][]string{{"capture", name, "icmp"}, {"extcap", "--capture", "--extcap-interface", "nscope-" + name, "--snaplen", "40", "--on", "lo", "--extcap-capture-filter", "icmp"}} {
		file := filepath.Join(t.TempDir(), "k.pcapng")
		c := exec.CommandContext(ctx, binary(t), append(args, []string{"-w", "--fifo"}[i], file)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			if st, err := os.Stat(file); err == nil && st.Size() > 20000 {
				break
			}
			if ctx.Err() != nil {
				t.Fatal("nothing is written")
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		out, err := exec.CommandContext(ctx, "tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.cap_len").Output() // fails where a block is cut off
		want := []string{"98\n", "40\n"}[i]
		if err != nil || strings.Count(string(out), want) < 50 || strings.ReplaceAll(string(out), want, "") != "" {
			t.Errorf("%v: %v\n%.300s", args, err, out)
		}
	}
}
