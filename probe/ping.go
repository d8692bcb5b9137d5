package probe

// PingStats is what Ping found beside its attempts.
type PingStats struct {
	Sent       int `json:"sent"`
	Received   int `json:"received"` // answered, without duplicates
	Duplicates int `json:"duplicates,omitempty"`
	Errors     int `json:"errors,omitempty"` // ICMP and local errors
	// Min, Avg, Max, Mdev are of the round trip; Mdev is the standard deviation, as ping prints it.
	Min  MS `json:"min_ms"`
	Avg  MS `json:"avg_ms"`
	Max  MS `json:"max_ms"`
	Mdev MS `json:"mdev_ms"`
}
