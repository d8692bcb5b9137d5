package probe

import "io"

func pingLine(a Attempt) string { return "" }

func pingDetail(w io.Writer, r *Result) {}
