package topo

import (
	"net/netip"
	"slices"
	"strings"
)

// causes are changes of which others are mere consequences, by the key of the link.
type causes struct {
	ops   map[string]ChangeOp       // links that came or went
	moved map[string]bool           // links that were set up or down, got or lost their carrier, another MAC or master
	came  map[string][]netip.Prefix // addresses, by link and op
}

func newCauses() *causes {
	return &causes{ops: map[string]ChangeOp{}, moved: map[string]bool{}, came: map[string][]netip.Prefix{}}
}

func (c *causes) link(key string, op ChangeOp) bool { return c.ops[key] == op && op != "" }

// links takes in what became of the links.
func (c *causes) links(list []Change) {
	for i := range list {
		ch := &list[i]
		if ch.Op != Changed {
			c.ops[ch.key] = ch.Op
			continue
		}
		for _, f := range ch.Fields {
			switch f.Name {
			case "set", "state", "mac", "master", "mtu", "flags":
				c.moved[ch.key] = true
			}
		}
	}
}

// addrs takes in what became of the addresses, whose keys are "LINK PREFIX".
func (c *causes) addrs(list []Change) {
	for i := range list {
		link, rest, _ := strings.Cut(list[i].key, " ")
		prefix, _, _ := strings.Cut(rest, " ")
		if p, err := netip.ParsePrefix(prefix); err == nil {
			k := link + " " + string(list[i].Op)
			c.came[k] = append(c.came[k], p)
		}
	}
}

// addr tells whether a kernel's route to dst comes and goes with an address that did: that of its subnet, of itself, or of
// its broadcasts.
func (c *causes) addr(link string, op ChangeOp, dst netip.Prefix) bool {
	return slices.ContainsFunc(c.came[link+" "+string(op)], func(p netip.Prefix) bool {
		return p.Masked() == dst || dst.IsSingleIP() && p.Contains(dst.Addr())
	})
}
