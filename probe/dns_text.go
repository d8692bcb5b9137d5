package probe

import "io"

func dnsDetail(w io.Writer, r *Result) {}
