package probe

import (
	"fmt"
	"slices"
)

// mtuJudge says what the sizes mean. cut says why the search ended early, "" where it did not.
func mtuJudge(r *Result, cut string) {
	m := r.MTU
	if m.Largest == 0 {
		list := pingGroups(r.Attempts)
		if len(list) == 0 {
			r.end(Failed, "stopped before anything was answered")
			return
		}
		e := explains(list)
		summary := "no answer to ICMP echo, so the path MTU cannot be told"
		if e.Class != Timeout {
			summary += ": " + e.why()
		} else {
			r.NotCertain = "the request or the answer may be dropped anywhere on the way, or the target ignores ping"
		}
		r.end(e.Class, summary)
		return
	}
	link := or(m.Link, "the interface")
	pass := fmt.Sprintf("%d bytes pass", m.Largest)
	lost := 0 // of what fits
	for _, s := range m.Sizes {
		if s.Size <= m.Largest {
			lost += s.Sent - s.Answered
		}
	}
	var border MTUSize
	if i := slices.IndexFunc(m.Sizes, func(s MTUSize) bool { return s.Size == m.Smallest }); i >= 0 {
		border = m.Sizes[i]
	}
	// Who said that what is larger than Largest is too big: with that very number, or else for the border itself.
	said := slices.IndexFunc(m.Limits, func(l Attempt) bool { return l.MTU == m.Largest })
	if said < 0 && border.Class == TooBig {
		said = slices.IndexFunc(m.Limits, func(l Attempt) bool { return l.Size == m.Smallest })
	}
	switch {
	case m.Interface == 0 || cut != "" && m.Largest < m.Interface && (m.Smallest != m.Largest+1 || border.Sent < mtuTries):
		summary := pass
		if m.Smallest > 0 {
			summary += fmt.Sprintf(", %d did not", m.Smallest)
		}
		r.NotCertain = fmt.Sprintf("%s before the border between the two was found", cut)
		r.end(or(border.Class, Failed), summary)
		return
	case m.Largest >= m.Interface:
		r.end(OK, fmt.Sprintf("%s, all that %s takes", pass, link))
	case said >= 0:
		l := m.Limits[said]
		r.end(OK, fmt.Sprintf("%s; %s says that more is too big (%s has %d)", pass, or(l.who(), "the own kernel"), link, m.Interface))
		if l.MTU != m.Largest {
			r.NotCertain = fmt.Sprintf("%s says that its MTU is %d", l.who(), l.MTU)
		}
	case border.Class == Timeout:
		m.BlackHole = true
		// A veth and a bridge port leave room for an 802.1q tag (is_skb_forwardable in net/core/dev.c).
		r.end(TooBig, fmt.Sprintf("black hole: %s, %d bytes and more vanish without an ICMP error (%s has %d)", pass, m.Smallest, link, m.Interface))
		r.Hint = fmt.Sprintf("look for a link with MTU %d, or a veth or bridge port with %d (they let 4 more through); on the way back too, answers are as large", m.Largest, m.Largest-4)
		if lost > 0 {
			r.NotCertain = fmt.Sprintf("%d packets that fit were lost too, so loss may play a part", lost)
		}
	default:
		why := Attempt{Class: border.Class, Reason: border.Reason}
		for _, a := range r.Attempts {
			if a.Size == m.Smallest && a.By.IsValid() {
				why = a
			}
		}
		r.end(border.Class, fmt.Sprintf("%s, %d bytes are rejected: %s", pass, m.Smallest, why.why()))
		r.Hint = "a rule that looks at the length, not a link's MTU"
	}
	if lost > 0 && r.Hint == "" {
		r.Hint = fmt.Sprintf("%d packets that fit were lost: `probe ping` shows how many are", lost)
	}
	if k := m.Kernel; k > 0 && k < m.Largest && r.Hint == "" {
		r.Hint = fmt.Sprintf("%s's kernel assumes a path MTU of %d only: a router said so before, or the route does", r.From.Name, k)
	}
}
