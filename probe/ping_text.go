package probe

import (
	"fmt"
	"io"
)

// pingLine is an attempt as it comes: "seq 3: 84 bytes from db (10.0.1.5), ttl 64, 0.043 ms".
func pingLine(a Attempt) string {
	s := fmt.Sprintf("seq %d: ", a.Seq)
	if a.Class == OK {
		s += fmt.Sprintf("%d bytes from %s, ttl %d, %v", a.Size, a.who(), a.TTL, a.MS)
		if a.Duplicate {
			s += ", duplicate"
		}
		return s
	}
	s += a.why()
	if a.Detail != "" && a.Class != Timeout {
		s += ", " + a.Detail
	}
	return s
}

// pingDetail says what the packets were, and what became of those that were not answered.
func pingDetail(w io.Writer, r *Result) {
	st := r.Ping
	if st == nil {
		return
	}
	fmt.Fprintf(w, "  %d bytes of payload", st.Size)
	if r.From.Addr.IsValid() {
		fmt.Fprintf(w, ", from %v", r.From.Addr)
	}
	if r.From.Iface != "" {
		fmt.Fprintf(w, " by %s", r.From.Iface)
	}
	if st.TTL > 0 {
		fmt.Fprintf(w, ", answers with ttl %d", st.TTL)
	}
	fmt.Fprintln(w)
	for _, o := range pingGroups(r.Attempts) {
		if o.Class != OK {
			fmt.Fprintf(w, "  %d × %s\n", o.count, o.why())
		}
	}
	if st.Strange > 0 {
		fmt.Fprintf(w, "  %d × an answer that belongs to no request of this ping\n", st.Strange)
	}
	if st.Pending > 0 {
		fmt.Fprintf(w, "  %d still on the way when it was stopped: not counted\n", st.Pending)
	}
}
