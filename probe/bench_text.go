package probe

import "io"

func benchDetail(w io.Writer, r *Result) {}
