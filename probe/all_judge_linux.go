package probe

import (
	"context"
	"fmt"
	"strings"
)

// judge says what the steps mean together: the first failure, as its cause where that is known.
func (a *all) judge(ctx context.Context) *Result {
	r := a.r
	for _, s := range r.Steps {
		if s.OK || s.Class == Denied && s.NotCertain != "" {
			continue
		}
		class := s.Class
		summary := s.Kind + ": " + s.Summary
		if s.Kind == "way" {
			summary = s.Summary
		}
		if why := a.cause(s); why != "" {
			summary = why
		} else {
			r.Hint, r.NotCertain = s.Hint, s.NotCertain
		}
		return r.end(class, summary)
	}
	if ctx.Err() != nil {
		return r.end(Timeout, "interrupted: "+a.good())
	}
	if why := a.differ(); why != "" {
		return r.end(TooBig, why)
	}
	tried := false
	for _, s := range r.Steps {
		if !s.OK { // all that is left of those: not allowed
			r.NotCertain = s.Kind + " was not tried: " + s.Summary
		}
		tried = tried || s.OK && s.Kind != "way"
	}
	if !tried {
		return r.end(Denied, "nothing could be tried")
	}
	return r.end(OK, a.good())
}

// cause explains a failed step by what FROM's kernel and See know beside it; "" where the step's own words are best.
func (a *all) cause(s *Result) string {
	switch s.Kind {
	case "ping":
		return a.pingCause(s)
	case "tcp":
		return a.tcpCause(s)
	case "mtu":
		return a.mtuCause(s)
	}
	return ""
}

// pingCause: a wrong way, a wrong neighbour, or only ICMP that does not pass.
func (a *all) pingCause(s *Result) string {
	if odd := a.way.odd(a.addr, a.o.nameOf); odd != "" {
		return fmt.Sprintf("%s (ping: %s)", odd, s.Summary)
	}
	if why := a.neighborCause(); why != "" {
		return fmt.Sprintf("%s (ping: %s)", why, s.Summary)
	}
	var open, silent []string
	for _, t := range a.r.Steps {
		if t.Kind != "tcp" {
			continue
		}
		if port := fmt.Sprint(t.To.Port); t.OK {
			open = append(open, port)
		} else if t.Class == Timeout {
			silent = append(silent, port)
		}
	}
	switch {
	case len(open) > 0:
		return fmt.Sprintf("ping: %s, but tcp %s is open: only ICMP does not pass", s.Summary, strings.Join(open, ", "))
	case s.Class == Timeout && len(silent) > 0:
		return fmt.Sprintf("nothing comes back: ping and tcp %s are silent (%s)", strings.Join(silent, ", "), a.way.text(a.o.nameOf))
	}
	return ""
}

// neighborCause: FROM sends to a hardware address that is not TO's, or has none.
func (a *all) neighborCause() string {
	if a.way.local || a.way.dev == nil {
		return ""
	}
	now, err := a.from.look(a.addr) // what ping has made the kernel learn
	if err != nil {
		return ""
	}
	n := now.neighbor(a.addr)
	if n == nil {
		return ""
	}
	hop := whoIs(n.Addr, a.o.nameOf(n.Addr))
	switch n.State {
	case "failed", "incomplete":
		return fmt.Sprintf("nobody on %s answers for %s: no ARP or neighbour reply", a.way.dev.Name, hop)
	}
	if l := a.toLink(); l != nil && n.Addr == a.addr && n.MAC != "" && l.MAC != "" && !strings.EqualFold(n.MAC, l.MAC) {
		return fmt.Sprintf("%s's neighbour table has %s at %s (%s), but %s has %s", a.from.Name, n.Addr, n.MAC, n.State, l.Name, l.MAC)
	}
	return ""
}

// toLink is the link of TO's that has the address; nil where See does not know it.
func (a *all) toLink() *LinkInfo {
	for i, l := range a.to.Links {
		for _, x := range l.Addrs {
			if x == a.addr {
				return &a.to.Links[i]
			}
		}
	}
	return nil
}

// fromLink is the link that FROM sends by, as See knows it.
func (a *all) fromLink() *LinkInfo {
	for i, l := range a.from.Links {
		if a.way.dev != nil && l.Index == a.way.dev.Index {
			return &a.from.Links[i]
		}
	}
	return nil
}

// tcpCause: nobody listens there, or a firewall is between although somebody does.
func (a *all) tcpCause(s *Result) string {
	var port *Port
	for i := range a.to.Ports {
		if a.to.Ports[i].Port == s.To.Port {
			port = &a.to.Ports[i]
		}
	}
	head := fmt.Sprintf("tcp %d: %s", s.To.Port, s.Summary)
	switch {
	case port != nil && port.Listening && s.Class == Refused:
		return head + fmt.Sprintf(", although %s listens: a rule refuses it", a.to.label())
	case port != nil && port.Listening && s.Class == Timeout:
		return head + fmt.Sprintf(", although %s listens: something drops it", a.to.label())
	case port != nil && !port.Listening && a.to.PortsKnown:
		return head + fmt.Sprintf(": nothing listens on it in %s (%s)", a.to.label(), port.Why)
	case port == nil && a.to.PortsKnown:
		return head + fmt.Sprintf(": nothing listens on it in %s%s", a.to.label(), a.listening())
	}
	return head
}

// listening names the ports that TO does listen on.
func (a *all) listening() string {
	var out []string
	for _, p := range a.to.Ports {
		if p.Listening {
			out = append(out, fmt.Sprint(p.Port))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ", it listens on " + strings.Join(out, ", ")
}

// good is the summary of a healthy pair.
func (a *all) good() string {
	var parts, open, names []string
	for _, s := range a.r.Steps {
		if !s.OK {
			continue
		}
		switch {
		case s.Kind == "ping" && s.Ping != nil:
			parts = append(parts, "ping "+s.Ping.Avg.String())
		case s.Kind == "dns":
			names = append(names, s.To.Host)
		case s.Kind == "tcp":
			open = append(open, fmt.Sprint(s.To.Port))
		}
	}
	if len(names) > 0 {
		parts = append(parts, "dns "+strings.Join(names, ", "))
	}
	if len(open) > 0 {
		parts = append(parts, "tcp "+strings.Join(open, ", ")+" open")
	}
	for _, s := range a.r.Steps {
		if s.OK && s.MTU != nil {
			parts = append(parts, fmt.Sprintf("%d bytes pass", s.MTU.Largest))
		}
	}
	if len(parts) == 0 {
		return "nothing was tried"
	}
	return strings.Join(parts, "; ")
}
