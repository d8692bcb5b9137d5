package probe

import "io"

func listenLine(a Attempt) string { return "" }

func listenDetail(w io.Writer, r *Result) {}
