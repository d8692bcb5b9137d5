package probe

import "io"

func allDetail(w io.Writer, r *Result) {}
