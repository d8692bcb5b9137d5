package probe_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// TestEmbeddedDNS lays out what Docker makes in a container's namespace, breaks one part after the other and wants each said.
func TestEmbeddedDNS(t *testing.T) {
	nettest.NeedsTool(t, "iptables", "unshare")
	a, b := pair(t)
	var servfail, mute atomic.Bool
	own := zoneAnswer("db. 600 IN A 10.61.0.2", "ext.example. 60 IN A 192.0.2.1")
	docker := &nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
		if servfail.Load() {
			return packed(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		}
		return own(q, tcp)
	}}
	outside := zoneAnswer("ext.example. 60 IN A 192.0.2.1", "only.example. 60 IN A 192.0.2.2")
	upstream := &nameServer{answer: func(q *dns.Msg, tcp bool) [][]byte {
		if mute.Load() {
			return nil
		}
		return outside(q, tcp)
	}}
	upstream.serve(t, b, "10.61.0.2:53")
	upstream.serve(t, b, "127.0.0.53:53")

	f := asking(t, a, "nameserver 127.0.0.11\noptions ndots:0\n# ExtServers: [10.61.0.2 host(127.0.0.53)]\n", "127.0.0.1 localhost\n")
	f.UpstreamNS = b.Handle
	// check resolves a name and looks at class, summary and the ways that were asked.
	check := func(what, name string, class probe.Class, summary string, vias ...string) *probe.Result {
		t.Helper()
		o := quick()
		if class == probe.OK || class == probe.Refused {
			o.Timeout = 5 * time.Second
		}
		r, err := probe.DNS(t.Context(), f, named(name), o, probe.Question{})
		must(t, err)
		text := textOf(r)
		t.Logf("%s\n%s", what, text)
		fits(t, text)
		if r.Class != class || !strings.Contains(r.Summary, summary) {
			t.Errorf("%s: %s: %q, want %s: %q", what, r.Class, r.Summary, class, summary)
		}
		got := map[string]bool{}
		for _, s := range r.DNS.Steps {
			got[s.Via+" "+s.Server.String()] = true
		}
		for _, v := range vias {
			if !got[v] {
				t.Errorf("%s: no step %q in %q", what, v, stepsOf(r))
			}
			delete(got, v)
		}
		for v := range got {
			t.Errorf("%s: a step by %q", what, v)
		}
		if class != probe.OK {
			_, err = f.Lookup(t.Context(), name, o)
			var l *probe.LookupError
			if !errors.As(err, &l) || l.Class != class || l.Error() != name+": "+r.Summary {
				t.Errorf("%s: lookup says %v, the probe %q", what, err, r.Summary)
			}
		}
		return r
	}
	const embedded, outer, inner = "embedded 127.0.0.11:53", "upstream 10.61.0.2:53", "upstream 127.0.0.53:53"
	const direct = "embedded-direct 127.0.0.11:41234"

	check("nothing at all", "db", probe.Refused, "127.0.0.11:53 refuses: no resolver listens in this netns (listener gone)", embedded)
	stop := docker.start(t, a, "127.0.0.11:41234")
	nettest.Run(t, a.Handle, "sh", "-ec", `
		iptables -t nat -N DOCKER_OUTPUT
		iptables -t nat -N DOCKER_POSTROUTING
		iptables -t nat -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
		iptables -t nat -A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
		for p in tcp udp; do
			iptables -t nat -A DOCKER_OUTPUT -d 127.0.0.11/32 -p $p --dport 53 -j DNAT --to-destination 127.0.0.11:41234
			iptables -t nat -A DOCKER_POSTROUTING -s 127.0.0.11/32 -p $p --sport 41234 -j SNAT --to-source :53
		done`)
	check("healthy, a container", "db", probe.OK, "10.61.0.2, by 127.0.0.11", embedded)
	check("healthy, outside", "ext.example", probe.OK, "192.0.2.1, by 127.0.0.11", embedded, outer, inner)
	check("nowhere", "none.example", probe.NotFound, "no such name (NXDOMAIN), says 127.0.0.11", embedded, outer, inner)
	check("upstream knows better", "only.example", probe.NotFound, "has no such name (NXDOMAIN), but its upstream 10.61.0.2, 127.0.0.53 (asked from the host) answers", embedded, outer, inner)
	servfail.Store(true)
	check("the embedded one fails", "ext.example", probe.BadAnswer, "answers SERVFAIL, but its upstream 10.61.0.2, 127.0.0.53 (asked from the host) answers when asked directly", embedded, outer, inner)
	mute.Store(true)
	check("its upstream fails", "ext.example", probe.BadAnswer, "answers SERVFAIL; its upstream does not answer either: 10.61.0.2: no answer within 300 ms", embedded, outer, inner)
	servfail.Store(false)
	mute.Store(false)

	nettest.Run(t, a.Handle, "iptables", "-t", "nat", "-F", "DOCKER_OUTPUT")
	const gone = "127.0.0.11:53 refuses, but Docker's resolver answers on 127.0.0.11:41234: the DOCKER_OUTPUT redirect rules of this netns are gone"
	if r := check("rules flushed", "db", probe.Refused, gone, embedded, direct); r.Summary != gone || r.Hint == "" {
		t.Errorf("%q, hint %q", r.Summary, r.Hint)
	}
	stop()
	check("flushed and nobody there", "db", probe.Refused, "listener gone", embedded)

	f.Upstreams = []netip.AddrPort{netip.MustParseAddrPort("10.61.0.2:53"), netip.MustParseAddrPort("127.0.0.53:53")}
	check("upstreams known from the engine's files too", "ext.example", probe.Refused, "listener gone", embedded, outer, inner)
}
