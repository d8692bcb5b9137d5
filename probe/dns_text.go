package probe

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// dnsDetail prints the resolv.conf, then each query with what came back.
func dnsDetail(w io.Writer, r *Result) {
	d := r.DNS
	if d == nil {
		return
	}
	if d.Conf != nil && len(d.Steps) > 0 {
		line := func(s string) { fmt.Fprintln(w, "  "+s) }
		line(fmt.Sprintf("%s (%s):", d.Conf.Path, d.Conf.Of))
		wrap(w, "    ", d.Conf.String(), "; ")
	}
	if d.Embedded != "" && d.Embedded != r.Summary {
		fmt.Fprintf(w, "  %s\n", d.Embedded)
	}
	rounds, quiet, round := 0, 0, 0
	if n := len(d.Steps); n > 0 {
		rounds = d.Steps[n-1].Round
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		// Of many rounds the first is shown, and those that failed.
		if rounds > 3 && s.Round > 1 && !d.failed(i) {
			if s.Round != round {
				quiet++
			}
			round = s.Round
			continue
		}
		if s.Round != round && rounds > 1 {
			fmt.Fprintf(w, "  round %d\n", s.Round)
		}
		round = s.Round
		via := s.Via + " "
		if s.Via == "server" {
			via = ""
		}
		where := via + serverName(s.Server)
		if s.From != "" {
			where += " from " + s.From
		}
		s.text(w, where)
	}
	if quiet > 0 {
		fmt.Fprintf(w, "  and %d more rounds without a failure\n", quiet)
	}
	for _, n := range d.Notes {
		wrap(w, "  ", n, " ")
	}
}

// serverName is a server's address, with its port where that is not the usual one.
func serverName(s netip.AddrPort) string {
	if s.Port() == dnsPort {
		return s.Addr().String()
	}
	return s.String()
}

// failed tells whether a query failed in the round of step i.
func (d *DNSAnswer) failed(i int) bool {
	round := d.Steps[i].Round
	for ; i > 0 && d.Steps[i-1].Round == round; i-- {
	}
	for ; i < len(d.Steps) && d.Steps[i].Round == round; i++ {
		if c := d.Steps[i].Class; c != OK && c != NotFound {
			return true
		}
	}
	return false
}

// text prints a query: who was asked and what came, the records below.
func (s *DNSStep) text(w io.Writer, where string) {
	came := or(s.Rcode, string(s.Class))
	if len(s.Flags) > 0 {
		came += " (" + strings.Join(s.Flags, " ") + ")"
	}
	line := fmt.Sprintf("  %-4s %s  %s %s  %s  %s", s.Type, s.Query, where, s.Proto, s.MS, came)
	if len(line) <= 80 {
		fmt.Fprintln(w, line)
	} else { // a long name has a line of its own
		fmt.Fprintf(w, "  %-4s %s\n       %s %s  %s  %s\n", s.Type, s.Query, where, s.Proto, s.MS, came)
	}
	for i, a := range s.Answers {
		if i == 8 {
			fmt.Fprintf(w, "       … and %d more records\n", len(s.Answers)-i)
			break
		}
		name := ""
		if a.Name != s.Query {
			name = a.Name + " "
		}
		wrap(w, "       ", fmt.Sprintf("%s%s %s (TTL %d)", name, a.Type, a.Data, a.TTL), " ")
	}
	said := s.Rcode != "" && s.Rcode != "NOERROR" || s.Class == Timeout
	if s.Reason != "" && !said {
		wrap(w, "       ", s.Reason, " ")
	}
	ignored := slices.DeleteFunc(slices.Clone(s.Ignored), func(i string) bool { return i == s.Reason })
	if len(ignored) > 0 {
		wrap(w, "       ", "ignored: "+strings.Join(ignored, "; "), " ")
	}
}

// answers are the data of a step's records in short.
func (s *DNSStep) answers() string {
	var list []string
	for _, a := range s.Answers {
		list = append(list, a.Data)
	}
	return joinSome(list, 4)
}

// joinSome joins the first few of a list and says how many more there are.
func joinSome[T any](list []T, most int) string {
	var b strings.Builder
	for i, x := range list {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, x)
	}
	return b.String()
}

// wrap prints text in lines of at most 80 columns, broken at sep where that is possible.
func wrap(w io.Writer, indent, text, sep string) {
	const width = 80
	line := indent
	parts := strings.SplitAfter(text, sep)
	for _, p := range parts {
		if len(line)+len(strings.TrimRight(p, " ")) > width && line != indent {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line = indent
		}
		line += p
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}
