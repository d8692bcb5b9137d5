package probe

import "fmt"

// ICMP types (RFC 792, RFC 4443).
const (
	icmpEchoReply   = 0
	icmpUnreachable = 3
	icmpEcho        = 8
	icmpExceeded    = 11
	icmpParameter   = 12

	icmp6Unreachable = 1
	icmp6TooBig      = 2
	icmp6Exceeded    = 3
	icmp6Parameter   = 4
	icmp6Echo        = 128
	icmp6EchoReply   = 129
)

// icmpUnreachableCodes are the codes of ICMP destination unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).
var icmpUnreachableCodes = []struct {
	class Class
	name  string
}{
	{NoRoute, "network unreachable"},
	{Unreachable, "host unreachable"},
	{Refused, "protocol unreachable"},
	{Refused, "port unreachable"},
	{TooBig, "fragmentation needed"},
	{Unreachable, "source route failed"},
	{NoRoute, "network unknown"},
	{Unreachable, "host unknown"},
	{Unreachable, "source host isolated"},
	{Filtered, "network prohibited"},
	{Filtered, "host prohibited"},
	{NoRoute, "network unreachable for this type of service"},
	{Unreachable, "host unreachable for this type of service"},
	{Filtered, "administratively prohibited"},
	{Filtered, "host precedence violation"},
	{Filtered, "precedence cutoff"},
}

// icmp6UnreachableCodes are those of ICMPv6 (RFC 4443 §3.1).
var icmp6UnreachableCodes = []struct {
	class Class
	name  string
}{
	{NoRoute, "no route to destination"},
	{Filtered, "administratively prohibited"},
	{Unreachable, "beyond scope of source address"},
	{Unreachable, "address unreachable"},
	{Refused, "port unreachable"},
	{Filtered, "source address failed ingress or egress policy"},
	{Filtered, "reject route to destination"},
}

// classifyICMP says what an ICMP error (v6: ICMPv6) means and how it is called; other messages are Failed.
func classifyICMP(v6 bool, typ, code uint8) (Class, string) {
	switch {
	case !v6 && typ == icmpUnreachable && int(code) < len(icmpUnreachableCodes):
		c := icmpUnreachableCodes[code]
		return c.class, "ICMP " + c.name
	case !v6 && typ == icmpExceeded && code == 0, v6 && typ == icmp6Exceeded && code == 0:
		return Expired, icmpName(v6) + " time to live exceeded"
	case !v6 && typ == icmpExceeded, v6 && typ == icmp6Exceeded:
		return Expired, icmpName(v6) + " fragment reassembly time exceeded"
	case v6 && typ == icmp6Unreachable && int(code) < len(icmp6UnreachableCodes):
		c := icmp6UnreachableCodes[code]
		return c.class, "ICMPv6 " + c.name
	case v6 && typ == icmp6TooBig:
		return TooBig, "ICMPv6 packet too big"
	case !v6 && typ == icmpParameter, v6 && typ == icmp6Parameter:
		return Refused, icmpName(v6) + " parameter problem"
	}
	return Failed, fmt.Sprintf("%s type %d code %d", icmpName(v6), typ, code)
}

func icmpName(v6 bool) string {
	if v6 {
		return "ICMPv6"
	}
	return "ICMP"
}
