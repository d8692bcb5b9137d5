package probe

import (
	"fmt"
	"strings"
)

// pingGroup counts the attempts of one class, reason and sender.
type pingGroup struct {
	Attempt // the first of them
	count   int
}

// pingGroups groups attempts, the most frequent first; duplicates are left out.
func pingGroups(attempts []Attempt) []pingGroup {
	var out []pingGroup
next:
	for _, a := range attempts {
		if a.Duplicate {
			continue
		}
		for i := range out {
			if o := &out[i]; o.Class == a.Class && o.Reason == a.Reason && o.By == a.By && o.MTU == a.MTU {
				o.count++
				for ; i > 0 && out[i-1].count < out[i].count; i-- {
					out[i-1], out[i] = out[i], out[i-1]
				}
				continue next
			}
		}
		out = append(out, pingGroup{a, 1})
	}
	return out
}

// explains returns the group that explains best why there was no answer: an error rather than silence, which may be due to
// the same cause with its error suppressed.
func explains(list []pingGroup) pingGroup {
	for _, o := range list {
		if o.Class != OK && o.Class != Timeout {
			return o
		}
	}
	for _, o := range list {
		if o.Class != OK {
			return o
		}
	}
	return pingGroup{}
}

// why says what an unanswered attempt ended with: "ICMP host unreachable from r (10.0.0.1)".
func (a Attempt) why() string {
	s := a.Reason
	if a.Class == Timeout {
		s = "no answer in time"
		if a.Detail != "" {
			s = a.Detail
		}
	}
	if a.MTU > 0 {
		s += fmt.Sprintf(" (MTU %d)", a.MTU)
	}
	if a.By.IsValid() {
		s += " from " + a.who()
	}
	return s
}

// pingOutcome is the class and the summary of a ping.
func pingOutcome(r *Result) (Class, string) {
	st := r.Ping
	sent := st.Sent - st.Pending
	list := pingGroups(r.Attempts)
	if sent == 0 {
		return Failed, "stopped before anything was answered"
	}
	s := fmt.Sprintf("%d/%d answered", st.Received, sent)
	if st.Received > 0 {
		if st.Received < sent {
			s += fmt.Sprintf(", %s lost", percent(st.Loss))
		}
		s += ", " + times(st)
	}
	for _, n := range []struct {
		count int
		what  string
	}{{st.Duplicates, "duplicate"}, {st.Late, "late"}, {st.Corrupt, "wrong"}} {
		if n.count > 0 {
			s += fmt.Sprintf(", %d %s", n.count, n.what)
			if n.what == "duplicate" && n.count > 1 {
				s += "s"
			}
		}
	}
	if st.Received > 0 {
		return OK, s
	}
	e := explains(list)
	if e.Class == Timeout {
		// Late answers are no silence.
		if st.Late == 0 {
			s += ": silence"
		}
		return Timeout, s
	}
	return e.Class, s + ": " + e.why()
}

func percent(p float64) string {
	switch {
	case p > 0 && p < 1:
		return fmt.Sprintf("%.2g%%", p)
	case p > 99 && p < 100:
		return "over 99%"
	}
	return fmt.Sprintf("%.0f%%", p)
}

// times are the round-trip times in one unit.
func times(st *PingStats) string {
	f := "%.3f"
	if st.Max >= 10 {
		f = "%.1f"
	}
	n := func(m MS) string { return fmt.Sprintf(f, float64(m)) }
	if st.Received == 1 {
		return n(st.Avg) + " ms"
	}
	return strings.Join([]string{n(st.Min), n(st.Avg), n(st.Max)}, "/") + " ms (min/avg/max), mdev " + n(st.Mdev)
}

// pingDoubt says what else may be, and what would help.
func pingDoubt(r *Result, class Class) (doubt, hint string) {
	list := pingGroups(r.Attempts)
	silent, rejected := 0, 0
	for _, o := range list {
		switch {
		case o.Class == Timeout:
			silent += o.count
		case o.Class != OK && o.Reason != "" && o.By.IsValid() && o.Class != BadAnswer:
			rejected += o.count
		}
	}
	switch {
	case r.Ping.Sent == r.Ping.Pending:
	case silent > 0 && rejected > 0 && r.Ping.Received == 0:
		doubt = fmt.Sprintf("%d got an ICMP error and %d nothing: who sends ICMP errors limits their rate, so the silent ones may have had the same fate", rejected, silent)
	case class == Timeout && r.Ping.Late > 0:
		hint = "answers came after the timeout: a longer --timeout counts them"
	case class == Timeout:
		doubt = "the request or the answer may be dropped anywhere on the way, or the target ignores ping"
		hint = "`probe route` shows how far packets come, `probe tcp` asks a port"
	}
	e := explains(list)
	if r.Ping.Received == 0 && e.Detail != "" && class != Timeout {
		hint = e.Detail
	}
	return doubt, hint
}
