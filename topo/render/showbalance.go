package render

import (
	"fmt"
	"net/netip"

	"github.com/nscope/nscope/topo"
)

// virtuals lists the entries of a namespace's load balancer with their members.
func (s *shower) virtuals(n *topo.Node) {
	raw := s.g.Namespace(n)
	if raw == nil || raw.IPVS == nil {
		return
	}
	var rows [][]string
	for i := range raw.IPVS.Services {
		v := &raw.IPVS.Services[i]
		name, how := fmt.Sprintf("mark 0x%x (%d)", v.FWMark, v.FWMark), v.Scheduler
		if v.FWMark == 0 {
			name = v.Protocol + " " + netip.AddrPortFrom(v.Addr, v.Port).String()
		}
		if len(v.Destinations) == 0 {
			rows = append(rows, []string{name, how, "nobody", "", "", "", "", ""})
		}
		for j, d := range v.Destinations {
			to := d.Addr.String()
			if d.Port != 0 {
				to = netip.AddrPortFrom(d.Addr, d.Port).String()
			}
			rows = append(rows, []string{when(j == 0, name), when(j == 0, how), to, s.g.WhoHas(n, d.Addr), fmt.Sprint(d.Weight), d.Method, fmt.Sprint(d.Active), fmt.Sprint(d.Inactive)})
		}
	}
	s.table("LOAD BALANCER (IPVS)", cols("FOR", "BY", "!TO", "~NAME", ">WEIGHT", "METHOD", ">ACTIVE", ">INACTIVE"), rows)
}
