package probe

import (
	"fmt"
	"io"
)

func udpLine(a Attempt) string { return fmt.Sprintf("%d: %s", a.Seq+1, udpOutcome(a)) }

func udpDetail(w io.Writer, r *Result) {
	attemptsDetail(w, r, udpOutcome)
	if r.UDP != nil {
		fmt.Fprintf(w, "  sent: %s\n", r.UDP.Asked)
	}
}

func udpOutcome(a Attempt) string {
	s := outcome(a, "answered")
	if a.Detail != "" {
		s += " (" + a.Detail + ")"
	}
	return s
}
