package probe

import "io"

func httpDetail(w io.Writer, r *Result) {}
