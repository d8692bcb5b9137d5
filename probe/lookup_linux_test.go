package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// getent asks the C library for a name, with the files of a process and in its namespace.
func getent(t testing.TB, pid int, name string) (addrs []string) {
	t.Helper()
	out, err := exec.Command("nsenter", "-t", fmt.Sprint(pid), "-m", "-n", "getent", "ahosts", name).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return nil
	}
	must(t, err)
	for line := range strings.Lines(string(out)) {
		if a := strings.Fields(line)[0]; !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// TestLookup compares with the C library what servers are asked, in which order, and what comes of it.
func TestLookup(t *testing.T) {
	nettest.NeedsTool(t, "nsenter", "getent", "unshare")
	a, b := pair(t)
	records := []string{
		"db.one.example. 60 IN A 10.61.0.9", "web.two.example. 60 IN A 10.61.0.8", "web.two.example. 60 IN AAAA fd61::8", "full.name. 60 IN A 10.61.0.7",
		"api.v1.one.example. 60 IN A 10.61.0.6", "nodata.one.example. 60 IN TXT x", "nodata.two.example. 60 IN A 10.61.0.5", "www.one.example. 60 IN CNAME web.two.example.",
		"two.example. 60 IN A 10.61.0.4", "v6.one.example. 60 IN AAAA fd61::6",
		"many.one.example. 60 IN A 192.0.2.1", "many.one.example. 60 IN A 10.61.0.3", "many.one.example. 60 IN AAAA 2001:db8::1", "many.one.example. 60 IN AAAA fd61::3",
	}
	s := zone(records...).serve(t, b, "10.61.0.2:53")
	s.serve(t, b, "[fd61::2]:53")
	rcode(dns.RcodeServerFailure).serve(t, b, "10.61.0.2:1053")
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.3/24", "dev", "eth0")
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.4/24", "dev", "eth0")
	nettest.Run(t, b.Handle, "ip", "addr", "add", "10.61.0.5/24", "dev", "eth0")
	s.serve(t, b, "10.61.0.3:53")
	bad := rcode(dns.RcodeServerFailure).serve(t, b, "10.61.0.4:53")
	refuses := rcode(dns.RcodeRefused).serve(t, b, "10.61.0.5:53")
	hosts := "127.0.0.1 localhost\n10.61.0.2\tHere here.example # a comment\nfd61::2 here\n# 10.0.0.1 not\n"
	const search = "search one.example two.example\n"
	for _, conf := range []string{
		"nameserver 10.61.0.2\n" + search,
		"nameserver 10.61.0.2\n" + search + "options ndots:0\n",
		"nameserver 10.61.0.2\n" + search + "options ndots:2 edns0\n",
		"nameserver 10.61.0.2\n" + search + "options ndots:5 no-tld-query\n",
		"nameserver 10.61.0.2\ndomain one.example\n; comment\n nameserver 10.61.0.3\n",
		"domain x.example\nnameserver 10.61.0.2 # comment\nsearch two.example. .\n",
		"nameserver fd61::2\n" + search,
		"nameserver 10.61.0.4\nnameserver 10.61.0.3\n" + search,                                                        // SERVFAIL, then an answer
		"nameserver 10.61.0.5\nnameserver 10.61.0.3\n" + search,                                                        // REFUSED, then an answer
		"nameserver 10.61.0.99\nnameserver 10.61.0.3\noptions timeout:1\n" + search,                                    // nobody there, then an answer
		"nameserver 10.61.0.1\nnameserver 10.61.0.3\n" + search,                                                        // port closed, then an answer
		"nameserver 10.61.0.4\n" + search,                                                                              // only SERVFAIL
		"nameserver 10.61.0.1\n" + search,                                                                              // only a closed port
		"nameserver 10.61.0.2\n" + search + "options use-vc\n",                                                         // TCP only
		"nameserver 10.61.0.1\nnameserver 10.61.0.1\nnameserver 10.61.0.1\nnameserver 10.61.0.2\n" + search,            // the fourth is never asked
		"nameserver 10.61.0.2\n" + search + "options single-request no-aaaa\n",                                         // glibc 2.36
		"nameserver nonsense\nnameserver\noptions ndots:x timeout:0 attempts:99\nnameserver 10.61.0.2\nsearch\n\xff\n", // rubbish
	} {
		names := []string{"db", "web", "full.name", "api.v1", "nodata", "none", "none.at.all", "www", "here", "HERE", "db.one.example.", "v6", "many", "localhost"}
		f := asking(t, a, conf, hosts)
		if strings.Contains(conf, "10.61.0.99") {
			names = []string{"db"} // takes its time
		}
		for _, name := range names {
			s.take()
			bad.take()
			refuses.take()
			all := func() (list []string) {
				for _, s := range []*nameServer{bad, refuses, s} {
					got := s.take()
					// A and AAAA go at once: their order on arrival does not matter.
					for i := 0; i+1 < len(got); i += 2 {
						slices.Sort(got[i : i+2])
					}
					list = append(list, got...)
				}
				return list
			}
			want := getent(t, f.PID, name)
			wantAsked := all()
			addrs, err := f.Lookup(t.Context(), name, probe.Options{})
			asked := all()
			var l *probe.LookupError
			if err != nil && !errors.As(err, &l) {
				t.Fatal(err)
			}
			var got []string
			for _, a := range addrs {
				got = append(got, a.String())
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q, %s: addresses (-getent +nscope): %s%v", conf, name, d, err)
			}
			if d := cmp.Diff(wantAsked, asked); d != "" {
				t.Errorf("%q, %s: queries (-getent +nscope): %s", conf, name, d)
			}
		}
	}
}

func TestLookupErrors(t *testing.T) {
	nettest.NeedsTool(t, "unshare")
	a, b := pair(t)
	zone("db. 60 IN A 10.61.0.9", "db. 60 IN TXT x", "txt. 60 IN TXT x").serve(t, b, "10.61.0.2:53")
	silent().serve(t, b, "[fd61::2]:53")
	f := asking(t, a, "nameserver 10.61.0.2\n", "")
	for _, c := range []struct {
		conf, name, want string
		class            probe.Class
	}{
		{"nameserver 10.61.0.2\nsearch .\n", "none", "none: no such name (NXDOMAIN), says 10.61.0.2", probe.NotFound},
		{"nameserver 10.61.0.2\nsearch .\n", "txt", "txt: no A or AAAA record (NODATA), says 10.61.0.2", probe.NotFound},
		{"nameserver fd61::2\nsearch .\noptions attempts:1\n", "db", "db: fd61::2: no answer within 300 ms", probe.Timeout},
		{"nameserver 10.61.0.1\nsearch .\n", "db", "db: 10.61.0.1: ICMP port unreachable", probe.Refused},
		{"nameserver fe80::1%none0\nsearch .\n", "db", "db: no name server can be asked: ", probe.Failed},
		{"nameserver 10.61.0.2\nsearch .\n", "a..b", "a..b: that is no name of a host", probe.NotFound},
		{"nameserver 10.61.0.2\nsearch .\n", strings.Repeat("x", 64), strings.Repeat("x", 64) + ": that is no name of a host", probe.NotFound},
		{"nameserver 10.61.0.2\nsearch .\n", "", ": that is no name of a host", probe.NotFound},
		{"nameserver 10.61.0.2\nsearch .\n", "fe80::1%none0", "fe80::1%none0: no such interface: none0", probe.NotFound},
	} {
		f.PID = filesOf(t, a, c.conf, "")
		o := probe.Options{Timeout: 5 * time.Second}
		if c.class == probe.Timeout {
			o = quick()
		}
		_, err := f.Lookup(t.Context(), c.name, o)
		var l *probe.LookupError
		if !errors.As(err, &l) || l.Class != c.class || !strings.HasPrefix(l.Error(), c.want) {
			t.Errorf("%q, %s: %v, want %s: %s", c.conf, c.name, err, c.class, c.want)
		}
	}
	got, err := f.Lookup(t.Context(), "::ffff:10.0.0.1", probe.Options{})
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("an address: %v, %v", got, err)
	}

	// A link-local server is asked by the interface that is named.
	ll := strings.Fields(nettest.Run(t, b.Handle, "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"))[3]
	ll = strings.TrimSuffix(ll, "/64")
	zone("db. 60 IN A 10.61.0.9").serve(t, b, "["+ll+"%eth0]:53")
	f.PID = filesOf(t, a, "nameserver "+ll+"%eth0\nsearch .\n", "")
	if got, err := f.Lookup(t.Context(), "db", probe.Options{Timeout: 5 * time.Second}); err != nil || len(got) != 1 {
		t.Errorf("by a link-local server: %v, %v", got, err)
	}

	// A context that ends is no answer; a process that ended has no files.
	f.PID = filesOf(t, a, "nameserver fd61::2\nsearch .\n", "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var l *probe.LookupError
	if _, err := f.Lookup(ctx, "db", probe.Options{}); !errors.As(err, &l) || !strings.Contains(l.Reason, "interrupted") {
		t.Errorf("interrupted: %v", err)
	}
	r, err := probe.DNS(ctx, f, named("db"), probe.Options{}, probe.Question{})
	if err != nil || r.OK || r.Summary != "interrupted before an answer came" {
		t.Errorf("interrupted: %+v, %v", r, err)
	}
	f.PID = 1 << 30
	if _, err := f.Lookup(t.Context(), "db", probe.Options{}); err == nil || errors.As(err, &l) {
		t.Errorf("a process that is gone: %v", err)
	}
}
