package probe

// ListenStats is what Listen found beside its attempts.
type ListenStats struct{}

// ListenOptions say what answers.
type ListenOptions struct {
	// Port is the port for all of them, 0 takes a free one. TCP and UDP echo what comes; HTTP answers requests with who
	// asked from where; Bench receives and sends as fast as it can, for [Bench] from elsewhere.
	Port                  uint16
	TCP, UDP, HTTP, Bench bool
	// Ready is called once with the addresses that are listened on.
	Ready func([]string)
}
