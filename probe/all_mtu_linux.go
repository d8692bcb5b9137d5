package probe

import (
	"fmt"
	"strings"
)

// vethSlack is how many bytes more than its MTU the far end of a veth pair takes in: __is_skb_forwardable
// (include/linux/netdevice.h) leaves room for an 802.1q tag, whether or not there is one. A bridge port that sends takes no more
// than its MTU.
const vethSlack = 4

// ends are the links at both ends of the way that See knows, each with its MTU, FROM's first.
func (a *all) ends() (names []string, mtus []int) {
	add := func(l *LinkInfo, outer bool) {
		if l == nil {
			return
		}
		pair := []struct {
			name string
			mtu  int
		}{{l.Name, l.MTU}, {l.Peer, l.PeerMTU}}
		if outer {
			pair[0], pair[1] = pair[1], pair[0]
		}
		for _, p := range pair {
			if p.name != "" && p.mtu > 0 {
				names, mtus = append(names, p.name), append(mtus, p.mtu)
			}
		}
	}
	add(a.fromLink(), false)
	add(a.toLink(), true)
	return names, mtus
}

// mtuCause names the link that a black hole is due to, where one at either end has such an MTU.
func (a *all) mtuCause(s *Result) string {
	if s.MTU == nil || s.MTU.Largest == 0 {
		return ""
	}
	names, mtus := a.ends()
	var small []string
	for i, mtu := range mtus {
		if mtu <= s.MTU.Largest && mtu+vethSlack >= s.MTU.Largest && mtu < s.MTU.Interface {
			small = append(small, fmt.Sprintf("%s has MTU %d", names[i], mtu))
		}
	}
	if len(small) == 0 {
		return ""
	}
	return fmt.Sprintf("mtu: %s; %s, the way in has %d", s.Summary, strings.Join(small, ", "), s.MTU.Interface)
}

// differ finds links of one segment whose MTUs differ although FROM's own packets pass: then what the others send does not.
func (a *all) differ() string {
	if a.way.local || a.way.route.Gateway.IsValid() {
		return ""
	}
	f, t := a.fromLink(), a.toLink()
	if f == nil || t == nil {
		return ""
	}
	names, mtus := a.ends()
	least, most := 0, 0
	for i := range mtus {
		if mtus[i] < mtus[least] {
			least = i
		}
		if mtus[i] > mtus[most] {
			most = i
		}
	}
	if mtus[least] == mtus[most] {
		return ""
	}
	return fmt.Sprintf("mtu: %s has %d and %s has %d on one segment: what is larger than %d is lost between them", names[least], mtus[least], names[most], mtus[most], mtus[least])
}
