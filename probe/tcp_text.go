package probe

import "io"

func tcpLine(a Attempt) string { return "" }

func tcpDetail(w io.Writer, r *Result) {}
