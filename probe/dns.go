package probe

import "net/netip"

// DNSAnswer is what DNS found beside its attempts.
type DNSAnswer struct{}

// Question is what to ask a name server for.
type Question struct {
	// Type is A, AAAA, PTR, SRV, MX, TXT …; "" asks for A and AAAA.
	Type string
	// Server is asked instead of those of FROM's resolv.conf, where it is valid; port 0 means 53.
	Server netip.AddrPort
	// TCP asks by TCP only.
	TCP bool
}
