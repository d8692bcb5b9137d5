package probe

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzAnswer reads what a hostile server may send: whatever it is, it is classified, bounded and printable.
func FuzzAnswer(f *testing.F) {
	q := newQuery("db.example.", dns.TypeA, nil)
	q.Id = 0x1234
	seed := func(change func(m *dns.Msg), records ...string) {
		m := new(dns.Msg).SetReply(q)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		if change != nil {
			change(m)
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	seed(nil, "db.example. 60 IN A 10.0.0.1")
	seed(nil, "db.example. 60 IN CNAME a.example.", "a.example. 0 IN CNAME db.example.")
	seed(nil, "db.example. 60 IN CNAME db.example.")
	seed(nil, `db.example. 60 IN TXT "\000\255\027[31m"`)
	seed(func(m *dns.Msg) { m.Question[0].Name = "evil.example." })
	seed(func(m *dns.Msg) { m.Question = nil; m.Rcode = dns.RcodeServerFailure })
	seed(func(m *dns.Msg) { m.Rcode = 15; m.Opcode = 2 })
	f.Add([]byte{0x12, 0x34, 0x80})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, v, reason := checkAnswer(q, b)
		if (v == answered) != (m != nil && reason == "") {
			t.Fatalf("verdict %d, message %v, reason %q", v, m, reason)
		}
		if v != answered {
			return
		}
		for _, typ := range []uint16{dns.TypeA, dns.TypeANY, dns.TypePTR} {
			c := readAnswer(m, "db.example.", typ)
			if c.class == "" || (c.class == OK) != (c.reason == "") || c.class == OK && len(c.addrs)+len(c.data) == 0 {
				t.Fatalf("%+v", c)
			}
			if len(c.cnames) > maxCNAMEs+1 || len(c.records) > len(m.Answer) {
				t.Fatalf("%d aliases, %d records of %d", len(c.cnames), len(c.records), len(m.Answer))
			}
			s := DNSStep{Type: "A", Query: "db.example.", Answers: c.records, Reason: c.reason, Flags: flagsOf(m), Rcode: rcodeName(m.Rcode)}
			var text strings.Builder
			dnsDetail(&text, &Result{Kind: "dns", DNS: &DNSAnswer{Steps: []DNSStep{s}}})
			for _, r := range text.String() {
				if r < ' ' && r != '\n' || r == 0x7f {
					t.Fatalf("%q", text.String())
				}
			}
			nextServer(m)
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	for _, s := range []string{
		"nameserver 127.0.0.11\nsearch a.example b.example\noptions ndots:0 edns0 timeout:1 attempts:3 rotate\n# ExtServers: [8.8.8.8 host(127.0.0.53) host(fe80::1%eth0)]\n",
		"domain x.\nnameserver fe80::1%eth0\r\nnameserver 1.1.1.1;x\nnameserver nonsense\n;\n\noptions ndots: timeout:-1 attempts:999999999999999999999\n",
		"search . .. \x00\xff\n nameserver 1.2.3.4\nnameserver\t1.2.3.4\nsearch",
	} {
		f.Add([]byte(s), "web.api")
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		c := parseResolvConf(b)
		if len(c.Servers) > maxNameservers || c.NDots < 0 || c.NDots > maxNDots || c.TimeoutS < 1 || c.TimeoutS > maxRetrans || c.Attempts < 1 || c.Attempts > maxRetry {
			t.Fatalf("%+v", c)
		}
		for _, s := range c.Servers {
			if !s.Addr.IsValid() {
				t.Fatalf("%+v", c)
			}
		}
		names := c.names(name)
		if len(names) == 0 && c.Search != nil && !c.has("no-tld-query") {
			t.Fatalf("%+v: nothing to ask for", c)
		}
		for _, n := range names {
			if !strings.HasPrefix(n.name, name) || !strings.HasSuffix(n.name, ".") {
				t.Fatalf("%q of %q", n.name, name)
			}
		}
		_ = c.String()
	})
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # x\n10.0.0.1 Web web.example.\nfe80::1%eth0 ll\n1.2.3 x\n"), "web")
	f.Add([]byte("\x00\n10.0.0.1\n10.0.0.1 \xff\n"), "\xff")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		hit := hostsName(b, name)
		if hit == nil {
			return
		}
		if hit.Line < 1 || len(hit.Addrs) == 0 || len(hit.Addrs) > maxHostsAddrs {
			t.Fatalf("%+v", hit)
		}
		if back := hostsAddr(b, hit.Addrs[0]); back == nil || len(back.Names) == 0 || back.Line > hit.Line {
			t.Fatalf("%+v, back %+v", hit, back)
		}
	})
}
