package probe

import (
	"fmt"
	"io"
)

// allDetail prints a line for each step.
func allDetail(w io.Writer, r *Result) {
	for _, s := range r.Steps {
		word := "ok"
		switch {
		case s.OK:
		case s.NotCertain != "" && s.Class == Denied:
			word = "--"
		default:
			word = "FAIL"
		}
		what := s.Kind
		if s.Kind == "tcp" {
			what = fmt.Sprintf("tcp %d", s.To.Port)
		}
		fmt.Fprintf(w, "  %-4s %-8s %s\n", word, what, s.Summary)
	}
}
