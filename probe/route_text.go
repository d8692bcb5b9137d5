package probe

import (
	"fmt"
	"io"
	"strings"
)

func routeDetail(w io.Writer, r *Result) {
	if r.Route == nil {
		return
	}
	for _, h := range r.Route.Hops {
		fmt.Fprintf(w, " %2d  %s\n", h.TTL, strings.Join(h.lines(), "\n     "))
	}
	switch {
	case r.Route.SilentFrom == r.Route.Asked && r.Route.SilentFrom > 0:
		fmt.Fprintf(w, " %2d  no answer\n", r.Route.SilentFrom)
	case r.Route.SilentFrom > 0:
		fmt.Fprintf(w, " %2d–%d  no answer\n", r.Route.SilentFrom, r.Route.Asked)
	}
}

// lines are a hop's routers, each with the times of its answers, and what is special about them.
func (h Hop) lines() []string {
	var out []string
	for i, x := range h.Replies {
		first := true
		for _, y := range h.Replies[:i] {
			first = first && (y.By != x.By || y.Reason != x.Reason)
		}
		if !first {
			continue
		}
		var times []string
		for _, y := range h.Replies[i:] {
			if y.By == x.By && y.Reason == x.Reason {
				times = append(times, fmt.Sprintf("%.3f", float64(y.MS)))
			}
		}
		line := fmt.Sprintf("%s  %s ms", whoIs(x.By, x.ByName), strings.Join(times, " "))
		if x.Class != Expired && x.Class != OK {
			line += "  " + x.Reason
		}
		out = append(out, line)
	}
	switch {
	case len(out) == 0:
		return []string{"no answer"}
	case h.Silent > 0:
		out[len(out)-1] += fmt.Sprintf("  (%d unanswered)", h.Silent)
	}
	if h.MTU > 0 {
		out = append(out, fmt.Sprintf("the next link's MTU is %d", h.MTU))
	}
	return out
}
