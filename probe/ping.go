package probe

// PingStats is what Ping found beside its attempts.
type PingStats struct{}
