package probe

import "io"

func arpLine(a Attempt) string { return "" }

func arpDetail(w io.Writer, r *Result) {}
