package rtnl

import (
	"strconv"

	"github.com/nscope/nscope/internal/nlwire"
)

const (
	inetConf  = 1 // IFLA_INET_CONF, inside IFLA_AF_SPEC's AF_INET
	inet6Conf = 2 // IFLA_INET6_CONF, inside its AF_INET6
)

// setting is one element of an interface's configuration array.
type setting struct {
	index int
	name  string
}

// settings4 are IPV4_DEVCONF_* (include/uapi/linux/ip.h), which count from 1 where the array counts from 0.
var settings4 = []setting{
	{0, "forwarding"}, {2, "proxy_arp"}, {3, "accept_redirects"}, {5, "send_redirects"}, {7, "rp_filter"}, {12, "arp_filter"},
	{17, "arp_announce"}, {18, "arp_ignore"}, {22, "accept_local"}, {23, "src_valid_mark"}, {25, "route_localnet"},
}

// settings6 are DEVCONF_* (include/uapi/linux/ipv6.h), which count from 0.
var settings6 = []setting{
	{0, "forwarding"}, {3, "accept_ra"}, {4, "accept_redirects"}, {22, "proxy_ndp"}, {26, "disable_ipv6"}, {27, "accept_dad"},
}

// decodeDevconf reads the sysctls of one interface from the body of its RTM_NEWLINK message: the arrays in IFLA_AF_SPEC are
// what the files in /proc/sys/net/ipv4/conf/<name> and ipv6/conf/<name> print. A dot in a name stays a dot.
func decodeDevconf(b []byte, name string, into map[string]string) {
	for a := nlwire.WalkAfter(b, ifInfomsgLen); a.Next(); {
		if a.Type != iflaAFSpec {
			continue
		}
		for f := nlwire.Walk(a.Val); f.Next(); {
			switch f.Type {
			case afInet:
				devconf(f.Val, inetConf, settings4, "net.ipv4.conf."+name+".", into)
			case afInet6:
				devconf(f.Val, inet6Conf, settings6, "net.ipv6.conf."+name+".", into)
			}
		}
	}
}

func devconf(b []byte, attr uint16, settings []setting, prefix string, into map[string]string) {
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type != attr {
			continue
		}
		for _, s := range settings {
			if at := 4 * s.index; at+4 <= len(a.Val) {
				into[prefix+s.name] = strconv.Itoa(nlwire.I32(a.Val[at:]))
			}
		}
	}
}
