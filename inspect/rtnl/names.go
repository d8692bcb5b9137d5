package rtnl

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/internal/nlwire"
)

// bit names one bit of a set of flags.
type bit struct {
	mask uint32
	name string
}

// bitNames lists the names of the bits that are set, in the order of names, never nil.
func bitNames(v uint32, names []bit) []string {
	n := 0
	for _, b := range names {
		if v&b.mask != 0 {
			n++
		}
	}
	if n == 0 {
		return []string{}
	}
	out := make([]string, 0, n)
	for _, b := range names {
		if v&b.mask != 0 {
			out = append(out, b.name)
		}
	}
	return out
}

// nameOf is names[v], or the number where it has none.
func nameOf(v uint8, names *[256]string) string {
	if s := names[v]; s != "" {
		return s
	}
	return strconv.Itoa(int(v))
}

// common holds strings that nearly every namespace has, so that they need not be made each time.
var common = func() map[string]string {
	m := map[string]string{}
	for _, s := range []string{
		"lo", "eth0", "eth1", "eth2", "ens3", "br0", "docker0", "docker_gwbridge", "vxlan0", "cni0", "flannel.1", "flannel0",
		"veth", "bridge", "vxlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "tun", "bond", "dummy", "wireguard",
		"gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6", "geneve",
		"vrf", "netkit", "ifb", "xfrm", "nlmon", "team", "openvswitch",
		"noqueue", "noop", "fq_codel", "pfifo_fast", "mq", "fq", "tbf", "htb", "clsact", "ingress", "netem", "cake", "pfifo",
		"pci", "virtio", "usb", "vmbus",
	} {
		m[s] = s
	}
	return m
}()

// text makes a string of the bytes before the first NUL.
func text(b []byte) string {
	b = nlwire.CStr(b)
	if s, ok := common[string(b)]; ok {
		return s
	}
	return string(b)
}

// hwAddr prints a hardware address: two hex digits per byte, with colons.
func hwAddr(b []byte) string {
	if len(b) == 0 || len(b) > 32 {
		return ""
	}
	var buf [32 * 3]byte
	out := buf[:0]
	for i := range b {
		if i > 0 {
			out = append(out, ':')
		}
		out = hex.AppendEncode(out, b[i:i+1])
	}
	if string(out) == zeroMAC {
		return zeroMAC
	}
	return string(out)
}

const zeroMAC = "00:00:00:00:00:00"

// lladdr prints a link-layer address as ip does: a tunnel's is an IP address.
func lladdr(b []byte) string {
	if len(b) == 4 || len(b) == 16 {
		return nlwire.Addr(b).String()
	}
	return hwAddr(b)
}

// Address families of include/linux/socket.h, the same number on every architecture of Linux.
const (
	afInet   = 2
	afBridge = 7
	afInet6  = 10
)

// familyName is that of the model, empty for what is neither IPv4 nor IPv6.
func familyName(f uint8) string {
	switch f {
	case afInet:
		return "inet"
	case afInet6:
		return "inet6"
	}
	return ""
}

// prefix makes a prefix of an address and a length, the zero Prefix where they do not fit.
func prefix(a netip.Addr, bits uint8) netip.Prefix {
	if !a.IsValid() || int(bits) > a.BitLen() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, int(bits))
}

// anyAddr is the all-zero address of a family.
func anyAddr(f uint8) netip.Addr {
	switch f {
	case afInet:
		return netip.IPv4Unspecified()
	case afInet6:
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}
