package probe

import "io"

func udpLine(a Attempt) string { return "" }

func udpDetail(w io.Writer, r *Result) {}
