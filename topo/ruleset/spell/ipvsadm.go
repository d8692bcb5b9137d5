package spell

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// IPVSAdm spells a load balancer as `ipvsadm -Sn` prints it, which is what `ipvsadm -R` reads: each service, then its
// destinations.
func IPVSAdm(v *snapshot.IPVS) []string {
	var out []string
	if v == nil {
		return out
	}
	for i := range v.Services {
		s := &v.Services[i]
		out = append(out, IPVSService(s))
		for j := range s.Destinations {
			out = append(out, IPVSDestination(s, &s.Destinations[j]))
		}
	}
	return out
}

var ipvsProtocols = map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}

// ipvsName is what ipvsadm calls a service: "-f 257", "-f 257 -6", "-t 10.0.0.1:80".
func ipvsName(s *snapshot.IPVSService) string {
	switch {
	case s.FWMark != 0 && s.Family == "inet6":
		// ipvsadm prints the mark signed.
		return fmt.Sprintf("-f %d -6", int32(s.FWMark))
	case s.FWMark != 0:
		return fmt.Sprintf("-f %d", int32(s.FWMark))
	}
	option := ipvsProtocols[s.Protocol]
	if option == "" {
		option = "--xxx-service"
	}
	return option + " " + netip.AddrPortFrom(s.Addr, s.Port).String()
}

// IPVSService spells the line that adds a service, without its destinations.
func IPVSService(s *snapshot.IPVSService) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-A %s -s %s", ipvsName(s), s.Scheduler)
	if slices.Contains(s.Flags, "persistent") {
		fmt.Fprintf(&b, " -p %d", s.Timeout)
		if s.Netmask != "" {
			b.WriteString(" -M " + s.Netmask)
		}
	}
	if s.PEName != "" {
		b.WriteString(" --pe " + s.PEName)
	}
	if slices.Contains(s.Flags, "ops") {
		b.WriteString(" -o")
	}
	if f := schedFlags(s); len(f) > 0 {
		b.WriteString(" -b " + strings.Join(f, ","))
	}
	return b.String()
}

// schedFlags are the flags that mean something to the scheduler alone: two of them have names for sh and for mh.
func schedFlags(s *snapshot.IPVSService) (out []string) {
	names := []string{"flag-1", "flag-2", "flag-3"}
	if s.Scheduler == "sh" || s.Scheduler == "mh" {
		names = []string{s.Scheduler + "-fallback", s.Scheduler + "-port"}
	}
	for i, n := range names {
		if slices.Contains(s.Flags, fmt.Sprintf("sched-%d", i+1)) {
			out = append(out, n)
		}
	}
	return out
}

var ipvsMethods = map[string]string{"masq": "-m", "tunnel": "-i", "route": "-g", "local": "-g"}

// IPVSDestination spells the line that adds a destination to a service.
func IPVSDestination(s *snapshot.IPVSService, d *snapshot.IPVSDestination) string {
	line := fmt.Sprintf("-a %s -r %s %s -w %d", ipvsName(s), netip.AddrPortFrom(d.Addr, d.Port), ipvsMethods[d.Method], d.Weight)
	if d.Method != "tunnel" || d.TunnelType == "" {
		return line
	}
	line += " --tun-type " + d.TunnelType
	if d.TunnelType == "ipip" {
		return line
	}
	if d.TunnelType == "gue" {
		line += fmt.Sprintf(" --tun-port %d", d.TunnelPort)
	}
	switch {
	case slices.Contains(d.TunnelFlags, "remcsum"):
		return line + " --tun-remcsum"
	case slices.Contains(d.TunnelFlags, "csum"):
		return line + " --tun-csum"
	}
	return line + " --tun-nocsum"
}
