package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxCNAMEs is how many aliases are followed in one answer. Resolvers give up between 8 and 16.
const maxCNAMEs = 16

// newQuery makes a query as glibc does: recursion desired, EDNS and AD only where resolv.conf asks for them.
func newQuery(name string, typ uint16, conf *ResolvConf) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, typ)
	if conf != nil && conf.has("edns0") {
		q.SetEdns0(1200, false) // RESOLV_EDNS_BUFFER_SIZE
	}
	q.AuthenticatedData = conf != nil && conf.has("trust-ad")
	return q
}

// packetVerdict is what a packet is to a query.
type packetVerdict int

const (
	notOurs   packetVerdict = iota // keep waiting, as every resolver does
	lying                          // our id, but not our question: keep waiting, and say so when nothing better comes
	malformed                      // our id, but no DNS message
	answered
)

// checkAnswer tells whether a packet answers a query. The message is valid for answered only; reason says why not.
func checkAnswer(q *dns.Msg, b []byte) (m *dns.Msg, v packetVerdict, reason string) {
	const header = 12 // RFC 1035 §4.1.1
	if len(b) < header {
		return nil, notOurs, fmt.Sprintf("%d bytes are no DNS message", len(b))
	}
	if id := uint16(b[0])<<8 | uint16(b[1]); id != q.Id {
		return nil, notOurs, "wrong id"
	}
	if b[2]&0x80 == 0 {
		return nil, notOurs, "a query with our id"
	}
	m = new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return nil, malformed, "not a valid DNS message: " + err.Error()
	}
	switch {
	case len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && len(m.Answer) == 0:
		// Some servers leave the question out of an error.
	case len(m.Question) != 1:
		return nil, lying, fmt.Sprintf("answer to %d questions", len(m.Question))
	case !sameName(m.Question[0].Name, q.Question[0].Name) || m.Question[0].Qtype != q.Question[0].Qtype || m.Question[0].Qclass != q.Question[0].Qclass:
		return nil, lying, "answer to another question: " + cleanText(m.Question[0].Name) + " " + typeName(m.Question[0].Qtype)
	}
	if m.Opcode != q.Opcode {
		return nil, lying, "answer of another kind (opcode)"
	}
	return m, answered, ""
}

func sameName(a, b string) bool {
	return strings.EqualFold(dns.Fqdn(a), dns.Fqdn(b))
}

// dnsContent is what an answer says about its question.
type dnsContent struct {
	class   Class
	reason  string
	records []DNSRecord // aliases first
	cnames  []string
	addrs   []netip.Addr
	data    []string // of what is no address
	ttl     uint32
}

// readAnswer follows the aliases within an answer and collects the records at their end.
func readAnswer(m *dns.Msg, name string, typ uint16) dnsContent {
	c := dnsContent{records: []DNSRecord{}}
	switch m.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		c.class, c.reason = NotFound, "no such name (NXDOMAIN)"
	case dns.RcodeRefused:
		c.class, c.reason = Refused, "answers REFUSED"
	default:
		c.class, c.reason = BadAnswer, "answers "+rcodeName(m.Rcode)
	}
	seen := map[string]bool{}
	at := dns.CanonicalName(name)
	any := typ == dns.TypeANY
	for !seen[at] {
		seen[at] = true
		var next string
		for _, rr := range m.Answer {
			h := rr.Header()
			if !sameName(h.Name, at) || h.Class != dns.ClassINET {
				continue
			}
			alias, isAlias := rr.(*dns.CNAME)
			switch {
			case h.Rrtype == typ, any:
				c.add(rr)
			case isAlias && next == "":
				next = dns.CanonicalName(alias.Target)
				c.addRecord(rr)
				c.cnames = append(c.cnames, cleanText(next))
			}
		}
		if next == "" || len(c.addrs)+len(c.data) > 0 {
			break
		}
		if seen[next] || len(c.cnames) > maxCNAMEs {
			c.class, c.reason = BadAnswer, fmt.Sprintf("the aliases (CNAME) go round in a circle at %s", cleanText(next))
			if len(c.cnames) > maxCNAMEs {
				c.reason = fmt.Sprintf("more than %d aliases (CNAME)", maxCNAMEs)
			}
			return c
		}
		at = next
	}
	switch {
	case c.class != "":
		if len(c.cnames) > 0 {
			c.reason += " of the alias " + c.cnames[len(c.cnames)-1]
		}
	case len(c.addrs)+len(c.data) > 0:
		c.class = OK
	case len(c.cnames) > 0:
		c.class, c.reason = NotFound, fmt.Sprintf("its alias %s has no %s record in this answer", c.cnames[len(c.cnames)-1], typeName(typ))
	case len(m.Answer) > 0:
		c.class, c.reason = BadAnswer, "the records are of other names: "+cleanText(m.Answer[0].Header().Name)
	case isReferral(m):
		c.class, c.reason = BadAnswer, "refers to other servers instead of answering (it does no recursion)"
	default:
		c.class, c.reason = NotFound, "no "+typeName(typ)+" record (NODATA)"
	}
	return c
}

// isReferral tells an empty answer that only names other servers (RFC 2308 §2.2: no SOA, but NS).
func isReferral(m *dns.Msg) bool {
	ns := false
	for _, rr := range m.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return false
		case dns.TypeNS:
			ns = true
		}
	}
	return ns && !m.Authoritative
}

func (c *dnsContent) add(rr dns.RR) {
	c.addRecord(rr)
	switch rr := rr.(type) {
	case *dns.A:
		if a, ok := netip.AddrFromSlice(rr.A); ok {
			c.addrs = append(c.addrs, a.Unmap())
			return
		}
	case *dns.AAAA:
		if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
			c.addrs = append(c.addrs, a) // a mapped address stays one: it is what the server said
			return
		}
	}
	c.data = append(c.data, c.records[len(c.records)-1].Data)
}

func (c *dnsContent) addRecord(rr dns.RR) {
	h := rr.Header()
	data := cleanText(strings.TrimPrefix(rr.String(), h.String()))
	c.records = append(c.records, DNSRecord{Name: cleanText(h.Name), Type: typeName(h.Rrtype), TTL: h.Ttl, Data: data})
	if len(c.records) == 1 || h.Ttl < c.ttl {
		c.ttl = h.Ttl
	}
}

// lame tells an answer that glibc takes for none and asks the next server (res_send.c): empty, not authoritative, without
// recursion.
func lame(m *dns.Msg) bool {
	return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable && len(m.Extra) == 0
}

// nextServer tells the answers after which a resolver asks the next server.
func nextServer(m *dns.Msg) bool {
	return slices.Contains([]int{dns.RcodeServerFailure, dns.RcodeNotImplemented, dns.RcodeRefused, dns.RcodeFormatError}, m.Rcode) || lame(m)
}

func flagsOf(m *dns.Msg) []string {
	flags := []string{}
	for _, f := range []struct {
		set  bool
		name string
	}{{m.Authoritative, "aa"}, {m.Truncated, "tc"}, {m.RecursionAvailable, "ra"}, {m.AuthenticatedData, "ad"}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return flags
}

func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return fmt.Sprintf("TYPE%d", t) // RFC 3597
}

func rcodeName(r int) string {
	if s, ok := dns.RcodeToString[r]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", r)
}

// parseType is a record type by name: A, mx, TYPE65.
func parseType(s string) (uint16, error) {
	s = strings.ToUpper(s)
	switch s {
	case "AXFR", "IXFR", "OPT", "TSIG", "TKEY", "NONE": // no questions, or a whole zone for an answer
		return 0, optionf("%s is no type of DNS records to ask for", s)
	}
	if t, ok := dns.StringToType[s]; ok {
		return t, nil
	}
	var t uint16
	if _, err := fmt.Sscanf(s, "TYPE%d", &t); err == nil && t != 0 && s == fmt.Sprintf("TYPE%d", t) {
		return t, nil
	}
	return 0, optionf("%q is no type of DNS records", s)
}

// cleanText makes text of the network safe to print: nothing but graphic ASCII, no end.
func cleanText(s string) string {
	const most = 1024
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if cut {
		s += "…"
	}
	return s
}
