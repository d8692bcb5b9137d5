package probe

// PathMTU is what MTU found beside its attempts.
type PathMTU struct{}
