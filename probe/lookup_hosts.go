package probe

import (
	"net/netip"
	"slices"
	"strings"
)

// HostsHit is what a hosts file says about a name or an address.
type HostsHit struct {
	// Path is the file, as FROM calls it; Line the first that says it, counted from 1.
	Path string `json:"path"`
	Line int    `json:"line"`
	// Addrs are the addresses of the name, Names the names of the address, in the file's order.
	Addrs []netip.Addr `json:"addrs,omitempty"`
	Names []string     `json:"names,omitempty"`
}

// maxHostsAddrs bounds how many addresses are kept of a file that somebody else wrote.
const maxHostsAddrs = 256

// hostsName looks a name up in a hosts(5) file, nil where it is not there. Letters' case does not count; all lines with
// the name do.
func hostsName(b []byte, name string) *HostsHit {
	name = strings.TrimSuffix(name, ".")
	var hit *HostsHit
	hostsLines(b, func(line int, a netip.Addr, names []string) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), name) }) {
			return
		}
		if hit == nil {
			hit = &HostsHit{Line: line}
		}
		if !slices.Contains(hit.Addrs, a) && len(hit.Addrs) < maxHostsAddrs {
			hit.Addrs = append(hit.Addrs, a)
		}
	})
	return hit
}

// hostsAddr looks an address up: its first line counts.
func hostsAddr(b []byte, addr netip.Addr) *HostsHit {
	var hit *HostsHit
	hostsLines(b, func(line int, a netip.Addr, names []string) {
		if hit == nil && a == addr.Unmap() {
			hit = &HostsHit{Line: line}
			for _, n := range names {
				hit.Names = append(hit.Names, cleanText(n))
			}
		}
	})
	return hit
}

func hostsLines(b []byte, f func(line int, a netip.Addr, names []string)) {
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if a, err := netip.ParseAddr(fields[0]); err == nil {
			f(n, a.Unmap(), fields[1:])
		}
	}
}
