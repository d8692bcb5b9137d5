package probe_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// nameServer is a responder of the tests: what it says is up to answer, what it was asked it remembers.
type nameServer struct {
	// answer makes the packets to send back, nil for silence.
	answer func(q *dns.Msg, tcp bool) [][]byte
	mu     sync.Mutex
	asked  []string // "A db.example. udp"
}

// serve answers on an address inside the namespace by UDP, and by TCP unless noTCP.
func (s *nameServer) serve(t testing.TB, in *netlab.Space, addr string, noTCP ...bool) *nameServer {
	t.Helper()
	s.start(t, in, addr, noTCP...)
	return s
}

// start is serve that can be ended before the test is.
func (s *nameServer) start(t testing.TB, in *netlab.Space, addr string, noTCP ...bool) (stop func()) {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	must(t, in.Do(func() (err error) {
		if pc, err = net.ListenPacket("udp", addr); err == nil && len(noTCP) == 0 {
			l, err = net.Listen("tcp", addr)
		}
		return err
	}))
	var wg sync.WaitGroup
	stop = sync.OnceFunc(func() {
		pc.Close()
		if l != nil {
			l.Close()
		}
		wg.Wait()
	})
	t.Cleanup(stop)
	wg.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range s.reply(buf[:n], false) {
				pc.WriteTo(b, from)
			}
		}
	})
	if l == nil {
		return stop
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				for { // a client may ask more than once
					var n [2]byte
					if _, err := io.ReadFull(c, n[:]); err != nil {
						return
					}
					b := make([]byte, binary.BigEndian.Uint16(n[:]))
					if _, err := io.ReadFull(c, b); err != nil {
						return
					}
					answers := s.reply(b, true)
					if answers == nil {
						return
					}
					for _, b := range answers {
						c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
					}
				}
			})
		}
	})
	return stop
}

func (s *nameServer) reply(b []byte, tcp bool) [][]byte {
	q := new(dns.Msg)
	if q.Unpack(b) != nil || len(q.Question) != 1 {
		return nil
	}
	line := dns.TypeToString[q.Question[0].Qtype] + " " + q.Question[0].Name + " udp"
	if tcp {
		line = strings.TrimSuffix(line, "udp") + "tcp"
	}
	s.mu.Lock()
	s.asked = append(s.asked, line)
	s.mu.Unlock()
	return s.answer(q, tcp)
}

// take returns what was asked since the last call.
func (s *nameServer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// zone answers from records ("db.example. 60 IN A 10.0.0.1"); what it does not have is NXDOMAIN or NODATA.
func zone(records ...string) *nameServer { return &nameServer{answer: zoneAnswer(records...)} }

func zoneAnswer(records ...string) func(*dns.Msg, bool) [][]byte {
	var rrs []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		rrs = append(rrs, rr)
	}
	return func(q *dns.Msg, _ bool) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		name, known := q.Question[0].Name, false
		for range 4 {
			next := ""
			for _, rr := range rrs {
				if !strings.EqualFold(rr.Header().Name, name) {
					continue
				}
				known = true
				if c, ok := rr.(*dns.CNAME); ok {
					next = c.Target
					m.Answer = append(m.Answer, rr)
				} else if t := q.Question[0].Qtype; rr.Header().Rrtype == t || t == dns.TypeANY {
					m.Answer = append(m.Answer, rr)
				}
			}
			if next == "" {
				break
			}
			name = next
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		return packed(m)
	}
}

func packed(list ...*dns.Msg) [][]byte {
	var out [][]byte
	for _, m := range list {
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}

// rcode answers with an error.
func rcode(code int) *nameServer {
	return &nameServer{answer: func(q *dns.Msg, _ bool) [][]byte { return packed(new(dns.Msg).SetRcode(q, code)) }}
}

// silent answers nothing.
func silent() *nameServer { return &nameServer{answer: func(*dns.Msg, bool) [][]byte { return nil }} }

// filesOf starts a process inside the namespace that has its own resolv.conf and hosts file, and returns its pid.
func filesOf(t testing.TB, in *netlab.Space, resolv, hosts string) int {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"resolv.conf": resolv, "hosts": hosts} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	// cat ends when the pipe does: also where the test process is killed.
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts && echo ready && exec cat`, "sh", dir)
	in1, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, in.Do(cmd.Start))
	t.Cleanup(func() {
		in1.Close()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("no process with files of its own: %q", line)
	}
	return cmd.Process.Pid
}

// asking is FROM with a process that has these files.
func asking(t testing.TB, s *netlab.Space, resolv, hosts string) *probe.From {
	t.Helper()
	f := from(s)
	f.PID = filesOf(t, s, resolv, hosts)
	return f
}

func named(host string) probe.To { return probe.To{Asked: host, Host: host} }

// stepsOf are the queries of a result, one line each: "A db.example. 10.61.0.2 udp NOERROR ok".
func stepsOf(r *probe.Result) []string {
	var list []string
	for _, s := range r.DNS.Steps {
		list = append(list, strings.TrimSpace(s.Via+" "+s.Type+" "+s.Query+" "+s.Server.String()+" "+s.Proto+" "+s.Rcode)+" "+string(s.Class))
	}
	return list
}

func textOf(r *probe.Result) string {
	var b strings.Builder
	r.Text(&b)
	return b.String()
}

// fits fails where a line of the text is too wide for a terminal.
func fits(t testing.TB, text string) {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		if n := len([]rune(line)); n > 80 && i > 0 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestDNS(t *testing.T) {
	a, b := pair(t)
	var long []string
	for i := range 60 {
		long = append(long, "big.example. 60 IN A "+netip.AddrFrom4([4]byte{10, 9, 8, byte(i)}).String())
	}
	truncating := func() *nameServer {
		full := zoneAnswer(long...)
		return &nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return full(q, tcp)
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated, m.RecursionAvailable = true, true
			return packed(m)
		}}
	}
	good := zoneAnswer("db.example. 60 IN A 10.61.0.9", "db.example. 60 IN AAAA fd61::9", "db.example. 30 IN TXT \"hello there\"",
		"www.example. 60 IN CNAME web.example.", "web.example. 20 IN A 10.61.0.8", "9.0.61.10.in-addr.arpa. 60 IN PTR db.example.",
		"_x._tcp.example. 60 IN SRV 1 2 5432 db.example.", "loop.example. 60 IN CNAME pool.example.", "pool.example. 60 IN CNAME loop.example.")
	change := func(f func(m *dns.Msg)) *nameServer {
		return &nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
			m := new(dns.Msg)
			m.Unpack(good(q, tcp)[0])
			f(m)
			return packed(m)
		}}
	}
	(&nameServer{answer: good}).serve(t, b, "10.61.0.2:53")
	(&nameServer{answer: good}).serve(t, b, "[fd61::2]:53")
	truncating().serve(t, b, "10.61.0.2:1001")
	truncating().serve(t, b, "10.61.0.2:1002", true)
	rcode(dns.RcodeServerFailure).serve(t, b, "10.61.0.2:1003")
	rcode(dns.RcodeRefused).serve(t, b, "10.61.0.2:1004")
	silent().serve(t, b, "10.61.0.2:1005")
	change(func(m *dns.Msg) { m.Id++ }).serve(t, b, "10.61.0.2:1006")
	change(func(m *dns.Msg) { m.Question[0].Name = "evil.example." }).serve(t, b, "10.61.0.2:1007")
	// A wrong answer first, the right one after it.
	(&nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
		m := new(dns.Msg)
		m.Unpack(good(q, tcp)[0])
		lie := m.Copy()
		lie.Id ^= 1
		lie.Answer = nil
		lie2 := m.Copy()
		lie2.Question[0].Name = "evil.example."
		return append([][]byte{{1, 2, 3}}, packed(lie, lie2, m)...)
	}}).serve(t, b, "10.61.0.2:1008")
	(&nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte { return [][]byte{good(q, tcp)[0][:20]} }}).serve(t, b, "10.61.0.2:1009")
	change(func(m *dns.Msg) {
		m.Answer = nil
		m.RecursionAvailable = false
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: 1}, Ns: "a.root."}}
	}).serve(t, b, "10.61.0.2:1010")
	change(func(m *dns.Msg) {
		for _, rr := range m.Answer {
			rr.Header().Name = "other.example."
		}
	}).serve(t, b, "10.61.0.2:1011")

	type row struct {
		name, typ, server string
		tcp               bool
		class             probe.Class
		summary           string   // a part of it
		steps             []string // the ends of each
	}
	rows := []row{
		{name: "db.example", server: "10.61.0.2:53", class: probe.OK, summary: "fd61::9, 10.61.0.9, by 10.61.0.2 in", steps: []string{"udp NOERROR ok", "udp NOERROR ok"}},
		{name: "db.example", server: "[fd61::2]:53", class: probe.OK, summary: "by fd61::2"},
		{name: "db.example", typ: "a", tcp: true, server: "10.61.0.2:53", class: probe.OK, summary: "10.61.0.9, by", steps: []string{"tcp NOERROR ok"}},
		{name: "db.example", typ: "TXT", server: "10.61.0.2:53", class: probe.OK, summary: `"hello there", by 10.61.0.2`},
		{name: "_x._tcp.example", typ: "SRV", server: "10.61.0.2:53", class: probe.OK, summary: "1 2 5432 db.example., by"},
		{name: "10.61.0.9", server: "10.61.0.2:53", class: probe.OK, summary: "db.example., by"},
		{name: "db.example", typ: "ANY", server: "10.61.0.2:53", class: probe.OK, summary: "fd61::9, 10.61.0.9"},
		{name: "db.example", typ: "MX", server: "10.61.0.2:53", class: probe.NotFound, summary: "no MX record (NODATA), says 10.61.0.2", steps: []string{"NOERROR not-found"}},
		{name: "none.example", server: "10.61.0.2:53", class: probe.NotFound, summary: "no such name (NXDOMAIN), says 10.61.0.2"},
		{name: "www.example", typ: "A", server: "10.61.0.2:53", class: probe.OK, summary: "10.61.0.8, by"},
		{name: "www.example", typ: "AAAA", server: "10.61.0.2:53", class: probe.NotFound, summary: "its alias web.example. has no AAAA record"},
		{name: "loop.example", typ: "A", server: "10.61.0.2:53", class: probe.BadAnswer, summary: "circle"},
		{name: "big.example", typ: "A", server: "10.61.0.2:1001", class: probe.OK, summary: "10.9.8.0, 10.9.8.1, 10.9.8.2 and 57 more, by 10.61.0.2:1001", steps: []string{"udp NOERROR ok", "tcp NOERROR ok"}},
		{name: "big.example", typ: "A", server: "10.61.0.2:1002", class: probe.Refused, summary: "the answer is truncated, and by TCP connection refused"},
		{name: "db.example", server: "10.61.0.2:1003", class: probe.BadAnswer, summary: "10.61.0.2:1003: answers SERVFAIL"},
		{name: "db.example", server: "10.61.0.2:1004", class: probe.Refused, summary: "10.61.0.2:1004: answers REFUSED"},
		{name: "db.example", server: "10.61.0.2:1005", class: probe.Timeout, summary: "10.61.0.2:1005: no answer within 300 ms"},
		{name: "db.example", tcp: true, server: "10.61.0.2:1005", class: probe.BadAnswer, summary: "closes the connection without an answer"},
		{name: "db.example", typ: "A", server: "10.61.0.2:1006", class: probe.Timeout, summary: "no answer within 300 ms"},
		{name: "db.example", typ: "A", server: "10.61.0.2:1007", class: probe.BadAnswer, summary: "answer to another question: evil.example. A"},
		{name: "db.example", server: "10.61.0.2:1008", class: probe.OK, summary: "fd61::9, 10.61.0.9, by"},
		{name: "db.example", typ: "A", server: "10.61.0.2:1009", class: probe.BadAnswer, summary: "not a valid DNS message"},
		{name: "db.example", typ: "A", server: "10.61.0.2:1010", class: probe.BadAnswer, summary: "no recursion"},
		{name: "db.example", typ: "A", server: "10.61.0.2:1011", class: probe.BadAnswer, summary: "records are of other names: other.example."},
		{name: "db.example", server: "10.61.0.2:1099", class: probe.Refused, summary: "ICMP port unreachable"},
		{name: "db.example", tcp: true, server: "10.61.0.2:1099", class: probe.Refused, summary: "connection refused"},
		{name: "db.example", server: "10.99.0.1:53", class: probe.NoRoute, summary: "network is unreachable"},
	}
	for _, x := range rows {
		t.Run(strings.TrimSpace(x.name+" "+x.typ+" "+x.server), func(t *testing.T) {
			o := quick()
			if x.class != probe.Timeout && x.class != probe.BadAnswer {
				o.Timeout = 5 * time.Second // a busy machine
			}
			var live int
			o.Each = func(probe.Attempt) { live++ }
			r, err := probe.DNS(t.Context(), from(a), named(x.name), o, probe.Question{Type: x.typ, Server: netip.MustParseAddrPort(x.server), TCP: x.tcp})
			must(t, err)
			text := textOf(r)
			t.Log("\n" + text)
			fits(t, text)
			if r.Class != x.class || r.OK != (x.class == probe.OK) || !strings.Contains(r.Summary, x.summary) {
				t.Errorf("%s: %q, want %s: %q", r.Class, r.Summary, x.class, x.summary)
			}
			if len(r.Attempts) != len(r.DNS.Steps) || live != len(r.Attempts) {
				t.Errorf("%d attempts (%d live), %d steps", len(r.Attempts), live, len(r.DNS.Steps))
			}
			steps := stepsOf(r)
			for i, want := range x.steps {
				if i >= len(steps) || !strings.HasSuffix(steps[i], want) {
					t.Errorf("steps %q, want %q", steps, x.steps)
					break
				}
			}
		})
	}
}

// TestDNSOwn asks what FROM's own files say: hosts file, search list, several servers, one that is slow or not there.
func TestDNSOwn(t *testing.T) {
	nettest.NeedsTool(t, "unshare", "iptables")
	a, b := pair(t)
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.3/24", "dev", "eth0")
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.4/24", "dev", "eth0")
	zone("db.one.example. 60 IN A 10.61.0.9", "a.b.one.example. 60 IN A 10.61.0.7", "here. 60 IN A 10.61.0.6", "9.0.61.10.in-addr.arpa. 60 IN PTR db.one.example.").serve(t, b, "10.61.0.2:53")
	answer := zoneAnswer("db.one.example. 60 IN A 10.61.0.9")
	(&nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
		time.Sleep(50 * time.Millisecond)
		return answer(q, tcp)
	}}).serve(t, b, "10.61.0.3:53")
	nettest.Run(t, b.Handle, "iptables", "-I", "INPUT", "-d", "10.61.0.4", "-p", "udp", "--dport", "53", "-j", "DROP")
	const hosts = "10.61.0.2 here\n10.61.0.5 by.hosts\n"
	for _, x := range []struct {
		what, conf, name, typ string
		o                     probe.Options
		class                 probe.Class
		summary, text         string
		steps                 int
	}{
		{what: "search", conf: "nameserver 10.61.0.2\nsearch x.example one.example\n", name: "db", class: probe.OK, summary: "10.61.0.9, by 10.61.0.2", text: "search x.example one.example; ndots:1", steps: 4},
		{what: "a dot", conf: "nameserver 10.61.0.2\nsearch one.example\n", name: "a.b", class: probe.OK, summary: "10.61.0.7", text: "not certain: musl", steps: 4},
		{what: "absolute", conf: "nameserver 10.61.0.2\nsearch one.example\n", name: "db.", class: probe.NotFound, summary: "no such name", steps: 2},
		{what: "hosts", conf: "nameserver 10.61.0.2\n", name: "here", class: probe.OK, summary: "10.61.0.2, by /etc/hosts line 1"},
		{what: "hosts and a type", conf: "nameserver 10.61.0.2\nsearch .\n", name: "here", typ: "A", class: probe.OK, summary: "10.61.0.6, by 10.61.0.2", text: "/etc/hosts line 1 has this name too (10.61.0.2)", steps: 1},
		{what: "hosts, backwards", conf: "nameserver 10.61.0.2\n", name: "10.61.0.5", class: probe.OK, summary: "by.hosts, by /etc/hosts line 2"},
		{what: "backwards", conf: "nameserver 10.61.0.2\nsearch one.example\n", name: "10.61.0.9", class: probe.OK, summary: "db.one.example., by 10.61.0.2", steps: 1},
		{what: "slow", conf: "nameserver 10.61.0.3\n", name: "db.one.example", class: probe.OK, summary: "10.61.0.9, by 10.61.0.3", steps: 2},
		{what: "dropped, then another", conf: "nameserver 10.61.0.4\nnameserver 10.61.0.2\n", name: "db.one.example", o: quick(), class: probe.OK, summary: "10.61.0.9, by 10.61.0.2", text: "10.61.0.4 udp", steps: 4},
		{what: "dropped", conf: "nameserver 10.61.0.4\noptions attempts:1\n", name: "db.one.example", o: quick(), class: probe.Timeout, summary: "10.61.0.4: no answer within 300 ms", text: "not certain: FROM's own resolver waits 5 s", steps: 2},
		{what: "dropped and refused", conf: "nameserver 10.61.0.4\nnameserver 10.61.0.1\noptions attempts:1\n", name: "db.one.example", o: quick(), class: probe.Refused, summary: "10.61.0.4: no answer within 300 ms; 10.61.0.1: ICMP port unreachable", steps: 4},
		{what: "three times", conf: "nameserver 10.61.0.2\n", name: "db.one.example", o: probe.Options{Count: 3, Interval: time.Millisecond}, class: probe.OK, summary: "3/3 answered, 10.61.0.9, by", text: "round 3", steps: 6},
		{what: "IPv6 only", conf: "nameserver 10.61.0.2\n", name: "db.one.example", o: probe.Options{Family: 6}, class: probe.NotFound, summary: "no AAAA record (NODATA), says 10.61.0.2", steps: 1},
		{what: "with an end", conf: "nameserver 10.61.0.2\n", name: "db.one.example", o: probe.Options{For: 50 * time.Millisecond, Interval: 10 * time.Millisecond}, class: probe.OK, summary: "10.61.0.9", steps: -1},
	} {
		t.Run(x.what, func(t *testing.T) {
			f := asking(t, a, x.conf, hosts)
			if x.o.Timeout == 0 {
				x.o.Timeout = 5 * time.Second
			}
			r, err := probe.DNS(t.Context(), f, named(x.name), x.o, probe.Question{Type: x.typ})
			must(t, err)
			text := textOf(r)
			t.Log("\n" + text)
			fits(t, text)
			if r.Class != x.class || !strings.Contains(r.Summary, x.summary) || !strings.Contains(text, x.text) {
				t.Errorf("%s: %q, want %s: %q and %q", r.Class, r.Summary, x.class, x.summary, x.text)
			}
			if x.steps >= 0 && len(r.DNS.Steps) != x.steps {
				t.Errorf("%d steps, want %d: %q", len(r.DNS.Steps), x.steps, stepsOf(r))
			}
			if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), "null") {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
	// Where TO is known, an answer that is not its address is told.
	f := asking(t, a, "nameserver 10.61.0.2\nsearch one.example\n", "")
	r, err := probe.DNS(t.Context(), f, probe.To{Asked: "db", Name: "db", Addrs: []netip.Addr{netip.MustParseAddr("10.61.0.77")}}, probe.Options{}, probe.Question{})
	if must(t, err); len(r.DNS.Notes) != 1 || r.DNS.Notes[0] != "None of these is an address of db (10.61.0.77)." {
		t.Errorf("notes %q", r.DNS.Notes)
	}
	for _, q := range []probe.Question{{Type: "AXFR"}, {Type: "NONSENSE"}} {
		var o *probe.OptionError
		if _, err := probe.DNS(t.Context(), f, named("db"), probe.Options{}, q); !errors.As(err, &o) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestResolveSpoofed answers from another address than was asked: no resolver takes that.
func TestResolveSpoofed(t *testing.T) {
	a, b := pair(t)
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.3/24", "dev", "eth0")
	var pc net.PacketConn
	must(t, b.Do(func() (err error) { pc, err = net.ListenPacket("udp", "10.61.0.3:53"); return err }))
	defer pc.Close()
	answer := zoneAnswer("db.example. 60 IN A 192.0.2.66")
	// The spoofer sees the query by being told, and the port by looking.
	spoof := &nameServer{}
	spoof.answer = func(q *dns.Msg, tcp bool) [][]byte {
		out := nettest.Run(t, a.Handle, "sh", "-c", "cat /proc/thread-self/net/udp")
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if _, port, ok := strings.Cut(f[1], ":"); ok && f[3] == "01" {
				if p, err := strconv.ParseUint(port, 16, 16); err == nil {
					pc.WriteTo(answer(q, tcp)[0], net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("10.61.0.1"), uint16(p))))
				}
			}
		}
		return nil
	}
	spoof.serve(t, b, "10.61.0.2:53")
	r, err := probe.DNS(t.Context(), from(a), named("db.example"), quick(), probe.Question{Server: netip.MustParseAddrPort("10.61.0.2:53")})
	must(t, err)
	if r.Class != probe.Timeout || strings.Contains(textOf(r), "192.0.2.66") {
		t.Errorf("%s", textOf(r))
	}
}

// TestResolveNeeds runs itself as nobody: what is missing is named.
func TestResolveNeeds(t *testing.T) {
	nettest.NeedsRoot(t)
	dir, remove, err := nettest.ScratchDir()
	must(t, err)
	defer remove()
	self, err := os.ReadFile(os.Args[0])
	must(t, err)
	bin := filepath.Join(dir, "probe.test")
	must(t, os.WriteFile(bin, self, 0o755))
	s := space(t, "a")
	cmd := exec.Command(bin, "-test.run=^TestResolveNobody$", "-test.v")
	fd, err := syscall.Dup(s.FD())
	must(t, err)
	file := os.NewFile(uintptr(fd), "netns")
	defer file.Close()
	cmd.Dir, cmd.Env, cmd.ExtraFiles = dir, append(os.Environ(), "NSCOPE_TEST_NETNS=/proc/self/fd/3"), []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestResolveNobody") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestResolveNobody(t *testing.T) {
	path := os.Getenv("NSCOPE_TEST_NETNS")
	if path == "" {
		t.Skip("run by TestResolveNeeds")
	}
	h, err := netns.OpenPath(path, "")
	must(t, err)
	defer h.Close()
	f := &probe.From{Name: "web", NS: h}
	want := func(err error, needs string) {
		t.Helper()
		var n *probe.NeedsError
		if !errors.As(err, &n) || n.Needs != needs || n.From != "web" || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v, want one that needs %s", err, needs)
		}
	}
	q := probe.Question{Server: netip.MustParseAddrPort("127.0.0.1:53")}
	_, err = probe.DNS(t.Context(), f, named("db"), quick(), q)
	want(err, "CAP_SYS_ADMIN")
	q.TCP = true
	_, err = probe.DNS(t.Context(), f, named("db"), quick(), q)
	want(err, "CAP_SYS_ADMIN")
	_, err = probe.HTTP(t.Context(), f, addrOf("127.0.0.1"), quick(), probe.Request{})
	want(err, "CAP_SYS_ADMIN")
	f.PID = os.Getppid() // root's
	_, err = f.Lookup(t.Context(), "db", quick())
	want(err, "CAP_SYS_PTRACE")
	_, err = probe.DNS(t.Context(), f, named("db"), quick(), probe.Question{})
	want(err, "CAP_SYS_PTRACE")
}
