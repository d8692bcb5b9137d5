package snapshot

import (
	"cmp"
	"slices"
	"strings"
)

// normalize sorts tables; chains, rules and elements keep the kernel's order, which means something.
func (n *Netfilter) normalize() {
	fill(&n.Tables)
	slices.SortStableFunc(n.Tables, func(a, b NfTable) int {
		return cmp.Or(strings.Compare(a.Backend, b.Backend), strings.Compare(a.Family, b.Family), strings.Compare(a.Name, b.Name))
	})
	for i := range n.Tables {
		t := &n.Tables[i]
		fill(&t.Flags)
		fill(&t.Chains)
		for j := range t.Chains {
			c := &t.Chains[j]
			fill(&c.Rules)
			for k := range c.Rules {
				fill(&c.Rules[k].Exprs)
			}
		}
		fill(&t.Sets)
		for j := range t.Sets {
			s := &t.Sets[j]
			fill(&s.KeyTypes)
			fill(&s.Flags)
			fill(&s.Elements)
		}
		fill(&t.Objects)
		fill(&t.Flowtables)
		for j := range t.Flowtables {
			fill(&t.Flowtables[j].Devices)
			fill(&t.Flowtables[j].Flags)
		}
	}
}

func (v *IPVS) normalize() {
	if v == nil {
		return
	}
	fill(&v.Services)
	fillMap(&v.Timeouts)
	slices.SortStableFunc(v.Services, func(a, b IPVSService) int {
		return cmp.Or(strings.Compare(a.Family, b.Family), strings.Compare(a.Protocol, b.Protocol), a.Addr.Compare(b.Addr),
			cmp.Compare(a.Port, b.Port), cmp.Compare(a.FWMark, b.FWMark))
	})
	for i := range v.Services {
		s := &v.Services[i]
		fill(&s.Flags)
		fill(&s.Destinations)
		for j := range s.Destinations {
			fill(&s.Destinations[j].TunnelFlags)
		}
		slices.SortStableFunc(s.Destinations, func(a, b IPVSDestination) int {
			return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
		})
	}
}
