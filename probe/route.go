package probe

// RoutePath is what Route found beside its attempts.
type RoutePath struct{}

// RouteOptions say how a path is traced.
type RouteOptions struct {
	// By is udp (the default), icmp or tcp (to To.Port, 80 where it is 0).
	By string
	// MaxHops bounds the path, 0 means 30; Queries is how many packets for each hop, 0 means 3.
	MaxHops, Queries int
}
