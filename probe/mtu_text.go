package probe

import (
	"fmt"
	"io"
)

// mtuDetail prints the MTUs that are known, what routers said, and the sizes on either side of the border.
func mtuDetail(w io.Writer, r *Result) {
	m := r.MTU
	if m == nil || m.Largest == 0 {
		return
	}
	fmt.Fprintf(w, "  interface MTU %d", m.Interface)
	if m.Link != "" {
		fmt.Fprintf(w, " (%s)", m.Link)
	}
	if m.Kernel > 0 {
		fmt.Fprintf(w, ", the kernel's path MTU %d", m.Kernel)
	}
	if m.KernelAfter > 0 && m.KernelAfter != m.Kernel {
		fmt.Fprintf(w, ", %d after this", m.KernelAfter)
	}
	fmt.Fprintln(w)
	for _, l := range m.Limits {
		fmt.Fprintf(w, "  %s: MTU %d, to a packet of %d bytes\n", l.who(), l.MTU, l.Size)
	}
	for _, s := range m.Sizes {
		if s.Size == m.Largest || s.Size == m.Smallest {
			fmt.Fprintf(w, "  %d bytes: %d of %d answered", s.Size, s.Answered, s.Sent)
			if s.Reason != "" {
				fmt.Fprintf(w, ", %s", s.Reason)
			}
			fmt.Fprintln(w)
		}
	}
}
