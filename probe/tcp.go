package probe

// TCPStats is what TCP found beside its attempts.
type TCPStats struct{}
