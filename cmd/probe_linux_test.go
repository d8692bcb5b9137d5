package cmd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// probeLab are two namespaces on one wire, with a web server in the second; nothing leads to them but this process's
// descriptors.
type probeLab struct {
	a, b *netlab.Space
	// A and B are the targets by which the program finds them.
	A, B string
	web  uint16
}

func newProbeLab(t *testing.T) *probeLab {
	t.Helper()
	nettest.NeedsRoot(t)
	l := &probeLab{}
	for name, p := range map[string]**netlab.Space{"pa": &l.a, "pb": &l.b} {
		s, err := netlab.New(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		*p = s
	}
	for _, err := range []error{
		l.a.Veth("eth0", l.b, "eth0"), l.a.Addr("eth0", netip.MustParsePrefix("10.62.0.1/24")), l.b.Addr("eth0", netip.MustParsePrefix("10.62.0.2/24")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.A, l.B = l.path(l.a), l.path(l.b)
	var ln net.Listener
	err := l.b.Handle.Do(func() (err error) { ln, err = net.Listen("tcp4", "10.62.0.2:0"); return err })
	if err != nil {
		t.Fatal(err)
	}
	l.web = ln.Addr().(*net.TCPAddr).AddrPort().Port()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "%s %s\n", r.Method, r.Host)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return l
}

func (l *probeLab) path(s *netlab.Space) string {
	return fmt.Sprintf("path:/proc/%d/fd/%d", os.Getpid(), s.Handle.FD())
}

// nscope is the program with arguments; the test binary is it under another name.
func nscope(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Args = append([]string{"nscope", "--no-engine"}, args...)
	return c
}

// TestProbeCommand runs every kind between two namespaces, good and bad: the exit code, the first line, and the JSON form.
func TestProbeCommand(t *testing.T) {
	l := newProbeLab(t)
	web := fmt.Sprintf("10.62.0.2:%d", l.web)
	for _, c := range []struct {
		line string
		code int
		want string // of standard output, or of standard error for codes 2 and 3
	}{
		{"ping A 10.62.0.2 -c 2 -i 0.01", 0, `(?m)^ok: ping .*10\.62\.0\.2.*2/2 answered`},
		{"ping A B -c 1", 0, `^seq 1.*\nok: ping`},
		{"ping A 10.62.0.9 -c 1 -W 0.2", 1, `(?m)^FAILED: ping`},
		{"ping A 10.62.0.2 --iface nosuch", 2, `no interface`},
		{"ping A 10.62.0.2 -6", 1, `no IPv6 address`},
		{"tcp A WEB", 0, `^ok: tcp .*open`},
		{"tcp A 10.62.0.2:1", 1, `^FAILED: tcp .*refused`},
		{"tcp B WEB", 0, `^ok: tcp .*open`},
		{"udp A 10.62.0.2:1", 1, `^FAILED: udp .*refused`},
		{"dns A localhost", 0, `^ok: dns`},
		{"dns A nosuch.invalid --server 10.62.0.2 -W 0.3 -c 1", 1, `^FAILED: dns`},
		{"http A WEB", 0, `^ok: http .*200`},
		{"http A http://WEB/gone", 1, `^FAILED: http .*404`},
		{"http A WEB --head --host shop.example", 0, `^ok: http .*200`},
		{"route A 10.62.0.2", 0, `^ok: route`},
		{"mtu A 10.62.0.2", 0, `^ok: mtu .*1500`},
		{"arp A 10.62.0.2", 0, `^ok: arp`},
		{"arp A 10.62.0.9 -W 0.2 -c 1", 1, `^FAILED: arp`},
		{"bench A B --for 300ms", 0, `^ok: bench .*bit/s`},
		{"listen B --tcp --for 100ms", 0, `listen`},
		{"all A WEB", 0, `^ok: all`},
		{"all A 10.62.0.2:1", 1, `^FAILED: all .*refused`},
		{"tcp A netns:nosuch:80", 2, `nothing is known as "netns:nosuch"`},
		{"tcp nosuch 10.62.0.2:80", 2, `nothing is known as "nosuch"`},
		{"ping path:/nosuch 10.62.0.2", 2, `/nosuch`},
		{"ping pid:999999999 10.62.0.2", 2, `there is no process`},
		{"ping A fe80::1%nosuch", 2, `has no interface "nosuch"`},
		{"matrix A B", 0, `2`},
		{"matrix A", 2, `two members`},
	} {
		t.Run(c.line, func(t *testing.T) {
			var args []string
			for _, w := range strings.Fields(c.line) {
				switch w {
				case "A":
					w = l.A
				case "B":
					w = l.B
				}
				args = append(args, strings.ReplaceAll(w, "WEB", web))
			}
			run := nscope(t, append([]string{"probe"}, args...)...)
			var out, errOut bytes.Buffer
			run.Stdout, run.Stderr = &out, &errOut
			run.Run()
			text := out.String()
			if c.code > 1 {
				text = errOut.String()
			}
			if code := run.ProcessState.ExitCode(); code != c.code || !regexp.MustCompile(c.want).MatchString(text) {
				t.Fatalf("exit code %d, want %d and %s:\n%s%s", code, c.code, c.want, out.String(), errOut.String())
			}
			if c.code > 1 || strings.HasPrefix(c.line, "matrix") {
				return
			}
			for line := range strings.Lines(out.String()) {
				// 80 columns, and room for these namespaces, which have numbers for names.
				if len([]rune(strings.TrimSuffix(line, "\n"))) > 95 && !strings.Contains(line, "ok: ") && !strings.Contains(line, "FAILED: ") {
					t.Errorf("too wide: %s", line)
				}
			}
			run = nscope(t, append(append([]string{"probe"}, args...), "-o", "json")...)
			data, _ := run.Output()
			var r probe.Result
			if err := json.Unmarshal(data, &r); err != nil || r.OK != (c.code == 0) || r.Kind != args[0] || r.Summary == "" || r.Attempts == nil {
				t.Errorf("as JSON: %v, %+v\n%s", err, r, data)
			}
		})
	}
}

// TestProbeInterrupted: ctrl-C ends a probe with what is known so far; a kill leaves nothing.
func TestProbeInterrupted(t *testing.T) {
	l := newProbeLab(t)
	for _, c := range []struct {
		args  []string
		first string // a line after which it is interrupted
		last  string
		code  int
	}{
		{[]string{"ping", l.A, "10.62.0.2", "-c", "1000"}, "seq 2", `(?m)^ok: ping .* ([2-9]|\d\d)/\d+ answered`, 0},
		{[]string{"ping", l.A, "10.62.0.2", "--watch"}, "ok: ping", `(?m)^\d+ rounds?, \d+ ok$`, 0},
		{[]string{"ping", l.A, "10.62.0.9", "-W", "0.1", "--watch"}, "FAILED: ping", `(?m)^\d+ rounds?, 0 ok$`, 1},
	} {
		run := nscope(t, append([]string{"probe"}, c.args...)...)
		pipe, err := run.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(pipe)
		var text strings.Builder
		for !strings.Contains(text.String(), c.first) {
			line, err := out.ReadString('\n')
			text.WriteString(line)
			if err != nil {
				t.Fatalf("%v ended early: %s", c.args, text.String())
			}
		}
		run.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(out)
		run.Wait()
		text.Write(rest)
		if code := run.ProcessState.ExitCode(); code != c.code || !regexp.MustCompile(c.last).MatchString(text.String()) {
			t.Errorf("%v, interrupted: exit code %d, want %d and %s:\n%s", c.args, code, c.code, c.last, text.String())
		}
	}

	run := nscope(t, "probe", "ping", l.A, "10.62.0.2", "--watch")
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(pipe).ReadString('\n'); err != nil || !strings.Contains(line, "ok: ping") {
		t.Fatalf("%q, %v", line, err)
	}
	run.Process.Kill()
	run.Wait()
	if err := syscall.Kill(-run.Process.Pid, 0); err != syscall.ESRCH {
		t.Errorf("a process of it is left: %v", err)
	}
	// Its socket went with it: the namespace has none but the server's.
	until := time.Now().Add(10 * time.Second)
	for {
		left, err := rawSockets(l.a)
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d ICMP sockets are left", left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// rawSockets counts the ICMP and raw sockets in a namespace.
func rawSockets(s *netlab.Space) (n int, err error) {
	err = s.Handle.Do(func() error {
		for _, f := range []string{"icmp", "raw", "icmp6", "raw6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + f)
			if err != nil {
				return err
			}
			n += strings.Count(string(b), "\n") - 1
		}
		return nil
	})
	return n, err
}
