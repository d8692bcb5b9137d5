package probe

// UDPStats is what UDP found beside its attempts.
type UDPStats struct{}
