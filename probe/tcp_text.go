package probe

import (
	"fmt"
	"io"
	"strings"
)

func tcpLine(a Attempt) string {
	return fmt.Sprintf("%d: %s", a.Seq+1, tcpOutcome(a))
}

// tcpDetail lists the attempts where the first line cannot say all of it.
func tcpDetail(w io.Writer, r *Result) { attemptsDetail(w, r, tcpOutcome) }

// attemptsDetail prints one attempt's local end and time, or the list of many.
func attemptsDetail(w io.Writer, r *Result, line func(Attempt) string) {
	if len(r.Attempts) != 1 {
		for _, a := range folded(r.Attempts, line) {
			fmt.Fprintf(w, "  %s\n", a)
		}
		return
	}
	a := r.Attempts[0]
	var parts []string
	if a.Local.Port() != 0 && !a.Local.Addr().IsUnspecified() {
		parts = append(parts, "from "+a.Local.String())
		if a.Class == Reset {
			parts = append(parts, fmt.Sprintf("opened in %v", a.MS))
		} else if a.By.IsValid() && a.Class != OK {
			parts = append(parts, fmt.Sprintf("answered after %v", a.MS))
		}
	}
	if a.Detail != "" {
		parts = append(parts, a.Detail)
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "  %s\n", strings.Join(parts, ", "))
	}
}

// tcpOutcome is what became of an attempt: "open, 0.041 ms", "refused by r (10.0.0.1): ICMP port unreachable".
func tcpOutcome(a Attempt) string {
	s := outcome(a, "open")
	if a.Detail != "" {
		s += " (" + a.Detail + ")"
	}
	return s
}

// outcome is an attempt's class, who caused it, and why.
func outcome(a Attempt, ok string) string {
	s := string(a.Class)
	switch a.Class {
	case OK:
		return fmt.Sprintf("%s, %v", ok, a.MS)
	case Timeout, NoAnswer:
		s = fmt.Sprintf("no answer in %v", a.MS)
	case Reset:
		return a.Reason
	case NoRoute:
		s = "no route"
	case Expired:
		s = "TTL exceeded"
	case TooBig:
		s = "too big"
	}
	switch {
	case !a.By.IsValid() || a.Class == Denied || a.Class == Reset:
	case a.Class == Refused || a.Class == Filtered:
		s += " by " + a.who()
	default:
		s += ", says " + a.who()
	}
	if a.Reason != "" {
		s += ": " + a.Reason
	}
	if a.MTU != 0 {
		s += fmt.Sprintf(", MTU %d", a.MTU)
	}
	return s
}

// folded are the lines of many attempts; a run of more than three that ended in the same way is one line.
func folded(as []Attempt, line func(Attempt) string) []string {
	var lines []string
	for i := 0; i < len(as); {
		n := i
		for n < len(as) && sameEnd(as[n], as[i]) {
			n++
		}
		if n-i <= 3 {
			for ; i < n; i++ {
				lines = append(lines, fmt.Sprintf("%d: %s", as[i].Seq+1, line(as[i])))
			}
			continue
		}
		text := line(as[i])
		if lo, hi := as[i].MS, as[i].MS; as[i].Class == OK {
			for _, a := range as[i:n] {
				lo, hi = min(lo, a.MS), max(hi, a.MS)
			}
			text = strings.Replace(text, as[i].MS.String(), fmt.Sprintf("%v to %v", lo, hi), 1)
		}
		lines = append(lines, fmt.Sprintf("%d–%d: %s", as[i].Seq+1, as[n-1].Seq+1, text))
		i = n
	}
	return lines
}

func sameEnd(a, b Attempt) bool {
	return a.Class == b.Class && a.By == b.By && a.Reason == b.Reason && a.Detail == b.Detail
}

// tally is "2 refused, 1 timed out" for the attempts that failed, in the order in which the classes came.
func tally(as []Attempt) string {
	n := map[Class]int{}
	var order []Class
	for _, a := range as {
		if a.Class == OK {
			continue
		}
		if n[a.Class]++; n[a.Class] == 1 {
			order = append(order, a.Class)
		}
	}
	var parts []string
	for _, c := range order {
		word := string(c)
		switch c {
		case Timeout:
			word = "timed out"
		case NoAnswer:
			word = "silent"
		case NoRoute:
			word = "without route"
		}
		parts = append(parts, fmt.Sprintf("%d %s", n[c], word))
	}
	return strings.Join(parts, ", ")
}

// spread is "0.041/0.052/0.067 ms (min/avg/max)".
func spread(lo, avg, hi MS) string {
	return fmt.Sprintf("%.3f/%.3f/%.3f ms (min/avg/max)", float64(lo), float64(avg), float64(hi))
}
