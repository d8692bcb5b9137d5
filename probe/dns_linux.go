package probe

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsProbe is one run of DNS.
type dnsProbe struct {
	asker *dnsAsker
	r     *Result
	o     Options
	q     Question
	name  string
	addr  netip.Addr // where an address was asked for: PTR
	types []uint16
}

// DNS resolves TO's name (TO.Host, else what was asked) as FROM itself does, or asks one server for it, and shows every
// query. Count is how often the name is resolved (default 1), Timeout how long one answer is waited for (default what
// resolv.conf says, else 2 s), Interval the time between two resolutions (default 1 s); each query is an attempt. Src, Iface,
// TTL and DF count where the server is no loopback address. Without a type the hosts file counts first, as for FROM's
// programs; with one, name servers are asked in any case. Where an engine's own resolver (127.0.0.11) fails, or answers
// what it has from elsewhere, the servers behind it are asked too.
//
// OK is that every resolution had an answer: a name that resolves now and then does not work. No such name and no such
// record are NotFound, the answer REFUSED and a closed port Refused, SERVFAIL and lies BadAnswer.
func DNS(ctx context.Context, from *From, to To, o Options, q Question) (*Result, error) {
	p := &dnsProbe{r: newResult("dns", from, to, o), o: o, q: q}
	p.r.To.Resolved = []netip.Addr{}
	p.r.To.Port = 0
	if err := p.question(to); err != nil {
		return nil, err
	}
	answer := &DNSAnswer{Name: p.name, Types: []string{}, Steps: []DNSStep{}, CNAMEs: []string{}, Addrs: []netip.Addr{}, Records: []string{}}
	for _, t := range p.types {
		answer.Types = append(answer.Types, typeName(t))
	}
	p.r.DNS = answer
	p.asker = &dnsAsker{kind: "dns", from: from, o: o, tcpOnly: q.TCP, record: p.step}
	p.asker.o.SrcPort, p.asker.o.Pace = 0, o.pace() // A and AAAA of several steps cannot share a port
	if !q.Server.IsValid() {
		conf, err := from.resolvConf("dns")
		if err != nil {
			return nil, err
		}
		answer.Conf, p.asker.conf = conf, conf
		p.asker.tcpOnly = p.asker.tcpOnly || conf.has("use-vc")
	}
	p.asker.timeout = queryTimeout(o, answer.Conf)
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	return p.run(ctx, to)
}

// question finds the name and the types to ask for.
func (p *dnsProbe) question(to To) error {
	p.name = or(to.Host, to.Asked)
	addr, err := netip.ParseAddr(p.name)
	if err != nil && strings.Contains(p.name, ":") { // container:web
		p.name = or(to.Name, p.name)
	}
	if p.q.Type != "" {
		t, err := parseType(p.q.Type)
		if err != nil {
			return err
		}
		p.types = []uint16{t}
	} else if p.types = addrTypes(p.o.Family); err == nil {
		p.types = []uint16{dns.TypePTR}
	}
	if err == nil && p.types[0] == dns.TypePTR {
		p.addr = addr.WithZone("").Unmap()
		p.name, err = dns.ReverseAddr(p.addr.String())
		return err
	}
	if _, ok := dns.IsDomainName(p.name); !ok || p.name == "" || strings.ContainsAny(p.name, " \t\n\\") {
		return optionf("%q is no name for the DNS", p.name)
	}
	return nil
}

// step takes a query: it becomes a step and an attempt.
func (p *dnsProbe) step(s DNSStep, by netip.Addr) {
	d := s.Query + " " + s.Type
	if len(s.Answers) > 0 {
		d += " → " + s.answers()
	}
	n := len(p.r.DNS.Steps)
	p.r.DNS.Steps = append(p.r.DNS.Steps, s)
	p.r.add(p.o, Attempt{
		Seq: n, At: time.Now().Add(-s.MS.Duration()), MS: s.MS, Class: s.Class, By: by, Reason: s.Reason, Remote: s.Server, Detail: d,
	})
}

func (p *dnsProbe) run(ctx context.Context, to To) (*Result, error) {
	count := or(p.o.Count, 1)
	if p.o.Count == 0 && p.o.For > 0 {
		count = math.MaxInt
	}
	var good, all int
	var ok, failed resolution
	var took MS
	for n := range count {
		if n > 0 && sleep(ctx, or(p.o.Interval, time.Second)) != nil {
			break
		}
		p.asker.round = n + 1
		first := len(p.r.Attempts)
		out, err := p.resolve(ctx)
		if err != nil {
			return nil, err
		}
		if out.interrupted {
			break
		}
		all++
		if out.class == OK {
			good++
			ok = out
			took = span(p.r.Attempts[first:])
		} else if failed.class == "" {
			failed = out
		}
		if err := p.behind(ctx, &out); err != nil {
			return nil, err
		}
		if p.r.DNS.Hosts != nil && len(p.r.DNS.Steps) == 0 {
			break // the file does not change from round to round
		}
	}
	p.fill(ok, failed)
	p.notes(ok, to)
	switch {
	case all == 0:
		return p.r.end(Timeout, "interrupted before an answer came"), nil
	case good == all:
		return p.r.end(OK, p.okSummary(ok, took, all)), nil
	case good > 0:
		return p.r.end(failed.class, fmt.Sprintf("only %d of %d had an answer; %s", good, all, failed.reason)), nil
	}
	return p.r.end(failed.class, or(p.r.DNS.Embedded, failed.reason)), nil
}

// span is the time from the first query to the last answer.
func span(list []Attempt) MS {
	var start, end time.Time
	for _, a := range list {
		if start.IsZero() || a.At.Before(start) {
			start = a.At
		}
		if e := a.At.Add(a.MS.Duration()); e.After(end) {
			end = e
		}
	}
	return Millis(end.Sub(start))
}

// resolve is one round.
func (p *dnsProbe) resolve(ctx context.Context) (resolution, error) {
	a := p.asker
	if p.q.Server.IsValid() {
		server, err := a.from.server(p.q.Server.Addr(), or(p.q.Server.Port(), uint16(dnsPort)))
		if err != nil {
			return resolution{}, optionf("server %v: %w", p.q.Server.Addr(), err)
		}
		p.local(server.Addr())
		out, err := a.lookupName(ctx, dns.Fqdn(p.name), p.types, []netip.AddrPort{server})
		out.asked = []string{dns.Fqdn(p.name)}
		return out, err
	}
	if hit := a.from.hosts(p.inHosts); hit != nil {
		p.r.DNS.Hosts = hit
		if p.q.Type == "" {
			addrs := ofTypes(hit.Addrs, p.types)
			if len(addrs)+len(hit.Names) > 0 {
				return resolution{class: OK, fqdn: p.name, addrs: addrs, data: hit.Names}, nil
			}
		}
	}
	for _, s := range a.conf.Servers {
		p.local(s.Addr)
	}
	name := p.name
	if p.addr.IsValid() {
		name = dns.Fqdn(name) // a reverse name is never searched for
	}
	out, _, err := a.resolve(ctx, name, p.types)
	return out, err
}

// local drops what cannot be true of a query to a loopback address.
func (p *dnsProbe) local(server netip.Addr) {
	if server.IsLoopback() {
		p.asker.o.Src, p.asker.o.Iface, p.asker.o.TTL, p.asker.o.DF = netip.Addr{}, "", 0, false
	}
}

func (p *dnsProbe) inHosts(b []byte) *HostsHit {
	if p.addr.IsValid() {
		return hostsAddr(b, p.addr)
	}
	if slices.Contains(p.types, dns.TypeA) || slices.Contains(p.types, dns.TypeAAAA) {
		return hostsName(b, p.name)
	}
	return nil
}

// behind looks behind an engine's own resolver: what is wrong where it failed, and what its upstream says of a name that it
// does not have from itself.
func (p *dnsProbe) behind(ctx context.Context, out *resolution) error {
	answer := p.r.DNS
	if answer.Embedded != "" || ctx.Err() != nil {
		return nil
	}
	var err error
	if out.class != OK {
		var given *netip.AddrPort
		if p.q.Server.IsValid() {
			given = &p.q.Server
		}
		answer.Embedded, err = p.asker.embedded(ctx, out, p.types, given)
		return err
	}
	// Docker gives what it knows itself a TTL of 600 (libnetwork/resolver.go, respTTL), and a name of one label is
	// nobody's outside.
	if out.server.Addr() == embeddedDNS && dotted(out.fqdn) && out.ttl != 600 {
		_, err = p.asker.upstreams(ctx, "", out.fqdn, p.types, true)
	}
	return err
}

// fill sets the answer.
func (p *dnsProbe) fill(ok, failed resolution) {
	answer := p.r.DNS
	out := ok
	if ok.class != OK {
		out = failed
	}
	answer.FQDN = out.fqdn
	answer.CNAMEs = append(answer.CNAMEs, out.cnames...)
	answer.Addrs = append(answer.Addrs, p.asker.from.sorted(out.addrs)...)
	answer.Records = append(answer.Records, out.data...)
	answer.TTL = out.ttl
	p.r.To.Resolved = append(p.r.To.Resolved, answer.Addrs...)
	if ok.class != OK {
		answer.FQDN = ""
	}
}

// notes says what else is worth knowing.
func (p *dnsProbe) notes(ok resolution, to To) {
	answer := p.r.DNS
	note := func(format string, args ...any) { answer.Notes = append(answer.Notes, fmt.Sprintf(format, args...)) }
	if h := answer.Hosts; h != nil && p.q.Type != "" {
		note("%s line %d has this name too (%s): programs take that.", h.Path, h.Line, joinSome(h.Addrs, 3))
	}
	if answer.Conf != nil && answer.Conf.Missing {
		note("There is no %s (%s): the C library asks 127.0.0.1.", answer.Conf.Path, answer.Conf.Of)
	}
	if ok.class == OK && len(to.Addrs) > 0 && len(answer.Addrs) > 0 && to.Name != "" {
		if !slices.ContainsFunc(answer.Addrs, func(a netip.Addr) bool { return slices.Contains(to.Addrs, a) }) {
			note("None of these is an address of %s (%s).", to.Name, joinSome(to.Addrs, 3))
		}
	}
	if ok.searched {
		p.r.NotCertain = "musl (Alpine) does not search for a name with this many dots and does not find it"
	}
	timeout := slices.ContainsFunc(answer.Steps, func(s DNSStep) bool { return s.Class == Timeout })
	if answer.Conf != nil && timeout && p.asker.timeout < time.Duration(answer.Conf.TimeoutS)*time.Second {
		p.r.NotCertain = fmt.Sprintf("FROM's own resolver waits %d s for an answer, this probe %s", answer.Conf.TimeoutS, waited(p.asker.timeout))
	}
	if strings.Contains(answer.Embedded, "rules of this netns are gone") {
		p.r.NotCertain = "rules that lead to a port where nothing listens look the same"
		p.r.Hint = "restarting the container makes them anew"
	}
}

// okSummary is the first line of success: "10.0.1.5, by 127.0.0.11 in 0.4 ms".
func (p *dnsProbe) okSummary(out resolution, took MS, rounds int) string {
	var list []string
	for _, a := range p.r.DNS.Addrs {
		list = append(list, a.String())
	}
	s := joinSome(append(list, out.data...), 3)
	if h := p.r.DNS.Hosts; h != nil && !out.server.IsValid() {
		return s + fmt.Sprintf(", by %s line %d", h.Path, h.Line)
	}
	s += ", by " + serverName(out.server) + " in " + took.String()
	if rounds > 1 {
		s = fmt.Sprintf("%d/%d answered, %s", rounds, rounds, s)
	}
	return s
}
