package probe

import "io"

func mtuDetail(w io.Writer, r *Result) {}
