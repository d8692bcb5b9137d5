package probe

import (
	"fmt"
	"io"
)

// arpLine is a request as its outcome is known: "seq 1: eth0 02:42:0a:00:01:05 (eth0 of db), 0.021 ms".
func arpLine(a Attempt) string {
	switch a.Class {
	case OK:
		return fmt.Sprintf("seq %d: %s, %v", a.Seq, a.Detail, a.MS)
	case Timeout:
		return fmt.Sprintf("seq %d: %s nobody answers", a.Seq, a.Detail)
	}
	return fmt.Sprintf("seq %d: %s %s", a.Seq, a.Detail, a.Reason)
}

// arpDetail prints where was asked, who answered, and what FROM's neighbour table had.
func arpDetail(w io.Writer, r *Result) {
	if r.ARP == nil {
		return
	}
	for _, l := range r.ARP.Links {
		fmt.Fprintf(w, "  asked on %s (%s)", l.Iface, l.MAC)
		if l.Src.IsValid() {
			fmt.Fprintf(w, " as %v", l.Src)
		} else {
			fmt.Fprint(w, " without telling an address")
		}
		fmt.Fprintln(w)
	}
	for _, x := range r.ARP.Answers {
		fmt.Fprintf(w, "  %s  %s", x.Iface, x.who())
		switch {
		case x.Count == 1:
			fmt.Fprintf(w, "  1 answer, first after %v", x.MS)
		case x.Count > 1:
			fmt.Fprintf(w, "  %d answers, first after %v", x.Count, x.MS)
		}
		if x.Heard > 0 {
			fmt.Fprintf(w, ", asks others by it %d ×", x.Heard)
		}
		if x.Router {
			fmt.Fprint(w, ", a router")
		}
		if x.FrameMAC != "" {
			fmt.Fprintf(w, ", in frames from %s", x.FrameMAC)
		}
		fmt.Fprintln(w)
	}
	for _, k := range r.ARP.Known {
		fmt.Fprintf(w, "  its neighbour table on %s: %s %s\n", k.Iface, or(k.MAC, "no address,"), k.State)
	}
}
