package probe

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// resolution is what came of resolving a name.
type resolution struct {
	class  Class
	reason string
	// fqdn is the name that had an answer, or the last that was asked for; server who said so.
	fqdn   string
	server netip.AddrPort
	rcode  string
	cnames []string
	addrs  []netip.Addr
	data   []string
	ttl    uint32
	// asked are the names that were asked for, failed the last failure of each server that did not answer as it should.
	asked  []string
	failed []*dnsReply
	// allRefused tells that no server could be reached at all: glibc then gives up (ECONNREFUSED).
	allRefused bool
	// searched tells that the name was found by the search list after it was asked for as it is; musl does not look there.
	searched    bool
	interrupted bool
}

// search asks for one name after the other until one has an answer, as __res_context_search of glibc does.
func (a *dnsAsker) search(ctx context.Context, names []candidate, types []uint16, servers []netip.AddrPort) (resolution, error) {
	var asIs, nodata, servfail, last *resolution
	var asked []string
	stop := false
	for i, n := range names {
		if stop && !n.asIs {
			continue
		}
		out, err := a.lookupName(ctx, n.name, types, servers)
		if err != nil {
			return out, err
		}
		asked = append(asked, n.name)
		out.asked = asked
		if out.class == OK {
			out.searched = !n.asIs && names[0].asIs
		}
		if out.class == OK || out.interrupted {
			return out, nil
		}
		last = &out
		switch {
		case n.asIs && i == 0:
			asIs = &out
		case n.asIs:
		case out.allRefused:
			return out, nil
		case out.class == NotFound && out.rcode == dns.RcodeToString[dns.RcodeSuccess]:
			nodata = &out
		case out.class == NotFound:
		case out.rcode == dns.RcodeToString[dns.RcodeServerFailure]:
			servfail = &out
		default:
			stop = true
		}
	}
	best := last
	for _, o := range []*resolution{asIs, nodata, servfail} {
		if o != nil {
			best = o
			break
		}
	}
	best.asked = asked
	return *best, nil
}

// lookupName asks all servers in turn, as often as resolv.conf says, until one has an answer to each type.
func (a *dnsAsker) lookupName(ctx context.Context, name string, types []uint16, servers []netip.AddrPort) (resolution, error) {
	out := resolution{fqdn: name, allRefused: true}
	attempts := resAttempts
	if a.conf != nil {
		attempts = a.conf.Attempts
	}
	answers := map[uint16]*dnsReply{}
	failed := map[netip.AddrPort]*dnsReply{}
asking:
	for range attempts {
		for _, server := range servers {
			var todo []uint16
			for _, t := range types {
				if answers[t] == nil {
					todo = append(todo, t)
				}
			}
			replies, err := a.exchange(ctx, viaOf(server), server, name, todo)
			if err != nil {
				return out, err
			}
			if ctx.Err() != nil && len(replies) < len(todo) {
				out.class, out.reason, out.interrupted = Timeout, "interrupted before an answer came", true
				return out, nil
			}
			enough := true
			for _, r := range replies {
				if r.class != Refused || r.msg != nil {
					out.allRefused = false
				}
				if r.final() {
					answers[r.typ] = r
				} else {
					failed[server] = r
					enough = false
				}
			}
			for _, r := range answers {
				enough = enough || r.class == OK || r.rcode == dns.RcodeToString[dns.RcodeNameError]
			}
			if enough {
				break asking
			}
		}
	}
	for _, s := range servers {
		if r := failed[s]; r != nil && !slices.Contains(out.failed, r) {
			out.failed = append(out.failed, r)
		}
	}
	a.combine(&out, types, answers)
	return out, nil
}

// combine makes one resolution of the answers to several types.
func (a *dnsAsker) combine(out *resolution, types []uint16, answers map[uint16]*dnsReply) {
	var none []string
	for _, t := range types {
		r := answers[t]
		if r == nil {
			continue
		}
		out.server, out.rcode = r.server, r.rcode
		if r.class != OK {
			none = append(none, typeName(t))
			out.reason = r.reason
			continue
		}
		if out.class != OK || r.ttl < out.ttl {
			out.ttl = r.ttl
		}
		out.class = OK
		out.addrs = append(out.addrs, r.addrs...)
		out.data = append(out.data, r.data...)
		for _, c := range r.cnames {
			if !slices.Contains(out.cnames, c) {
				out.cnames = append(out.cnames, c)
			}
		}
	}
	switch {
	case out.class == OK:
		out.reason = ""
	case len(none) == len(types), out.rcode == dns.RcodeToString[dns.RcodeNameError]:
		out.class = NotFound
		if len(none) > 1 && out.rcode == dns.RcodeToString[dns.RcodeSuccess] && !strings.Contains(out.reason, "alias") {
			out.reason = "no " + strings.Join(none, " or ") + " record (NODATA)"
		}
		out.reason += ", says " + serverName(out.server)
	default:
		// What a server said explains more than that another one was silent.
		worst := out.failed[0]
		for _, r := range out.failed {
			if worst.class == Timeout && r.class != Timeout {
				worst = r
			}
		}
		out.class, out.rcode, out.server = worst.class, worst.rcode, worst.server
		var list []string
		for _, r := range out.failed {
			list = append(list, r.says())
		}
		out.reason = strings.Join(list, "; ")
	}
}

// says is what became of a query, with who was asked: "10.0.0.53: no answer within 2 s".
func (r *dnsReply) says() string {
	s := serverName(r.server) + ": " + or(r.reason, string(r.class))
	if r.by.IsValid() && r.by != r.server.Addr().WithZone("") && r.msg == nil {
		s += " from " + r.by.String()
	}
	return s
}

// viaOf tells an engine's own resolver from other servers.
func viaOf(s netip.AddrPort) string {
	if s.Addr() == embeddedDNS {
		return "embedded"
	}
	return "server"
}
