package probe

import "io"

func routeDetail(w io.Writer, r *Result) {}
