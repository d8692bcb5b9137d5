package topo

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

func asJSON(v any) string {
	j, _ := json.Marshal(v)
	return string(j)
}

// sortedSet sorts, and leaves out the empty and the repeated. It returns nil for none, which JSON leaves out.
func sortedSet(in []string) []string {
	out := slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s == "" })
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 {
		return nil
	}
	return out
}

// sortAddrs sorts addresses or prefixes as numbers, IPv4 first.
func sortAddrs(in []string) []string {
	out := sortedSet(in)
	key := func(s string) netip.Prefix {
		if p, err := netip.ParsePrefix(s); err == nil {
			return p
		}
		a, _ := netip.ParseAddr(s)
		return netip.PrefixFrom(a, 0)
	}
	slices.SortStableFunc(out, func(x, y string) int {
		px, py := key(x), key(y)
		if c := px.Addr().Compare(py.Addr()); c != 0 {
			return c
		}
		return px.Bits() - py.Bits()
	})
	return out
}

// portString is a published port as Docker prints it: "0.0.0.0:8080->80/tcp", "*:8000->80/tcp" for all addresses, and
// "80/tcp" for one that is only exposed.
func portString(p snapshot.Port) string {
	proto := p.Proto
	if proto == "" {
		proto = "tcp"
	}
	inner := strconv.Itoa(int(p.Port)) + "/" + proto
	if p.HostPort == 0 {
		return inner
	}
	host := "*"
	if p.HostAddr.IsValid() {
		host = p.HostAddr.String()
	}
	out := net.JoinHostPort(host, strconv.Itoa(int(p.HostPort)))
	return out + "->" + inner
}

func portStrings(ports []snapshot.Port) []string {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, comparePorts)
	var out []string
	for _, p := range sorted {
		if s := portString(p); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func comparePorts(x, y snapshot.Port) int {
	if x.HostPort != y.HostPort {
		return int(x.HostPort) - int(y.HostPort)
	}
	if x.Port != y.Port {
		return int(x.Port) - int(y.Port)
	}
	if c := strings.Compare(x.Proto, y.Proto); c != 0 {
		return c
	}
	if c := x.HostAddr.Compare(y.HostAddr); c != 0 {
		return c
	}
	return strings.Compare(x.Mode, y.Mode)
}
