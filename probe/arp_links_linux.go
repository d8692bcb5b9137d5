package probe

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

// arpLinks chooses where to ask for an address: on the interface that is named, else on all links whose subnet has it, else on
// the one that the kernel would send by.
func arpLinks(from string, w *way, to netip.Addr, o Options) (out []ARPLink, onLink bool, err error) {
	plain := to.WithZone("")
	var why error
	add := func(l *snapshot.Link) {
		if reason := noNeighbors(l); reason != "" {
			why = optionf("%s of %s %s", l.Name, from, reason)
			return
		}
		out = append(out, ARPLink{Iface: l.Name, Index: l.Index, MAC: l.MAC, Src: arpSource(w, l, plain, o)})
	}
	if name := or(o.Iface, to.Zone()); name != "" {
		i := slices.IndexFunc(w.ns.Links, func(l snapshot.Link) bool { return l.Name == name || to.Zone() != "" && strconv.Itoa(l.Index) == name })
		if i < 0 {
			return nil, false, optionf("%s has no interface %s", from, name)
		}
		add(&w.ns.Links[i])
		return out, hasSubnet(&w.ns.Links[i], plain), why
	}
	for i := range w.ns.Links {
		if l := &w.ns.Links[i]; hasSubnet(l, plain) && slices.Contains(l.Flags, "up") {
			onLink = true
			add(l)
		}
	}
	switch {
	case len(out) > 0:
		return out, true, nil
	case w.err == nil && w.dev != nil && !w.local && !onLink:
		add(w.dev)
	case !onLink:
		why = optionf("%v is on no link of %s: name the interface (--iface)", to, from)
	}
	return out, onLink, why
}

// noNeighbors says why nobody can be asked on a link, "" where they can.
func noNeighbors(l *snapshot.Link) string {
	switch {
	case l.Type == "loopback" || slices.Contains(l.Flags, "loopback"):
		return "is the loopback: it has no neighbours"
	case l.Type != "ether":
		return "has no ARP: it carries IP without Ethernet (" + l.Type + ")"
	case slices.Contains(l.Flags, "noarp"):
		return "has no ARP: it is switched off (noarp)"
	case l.MasterKind == "bridge" || l.MasterKind == "bond":
		// The port's frames are the master's before any packet socket but one for all protocols sees them.
		return "is a port of a " + l.MasterKind + ": ask by that"
	}
	return ""
}

// hasSubnet tells whether a link has the address or is on its subnet.
func hasSubnet(l *snapshot.Link, to netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(a snapshot.Addr) bool {
		return a.Prefix.Contains(to) || a.Peer.IsValid() && a.Peer.Contains(to)
	})
}

// arpSource is the sender's address of requests on a link, zero for none: of the address's subnet, else what the link has.
//
// About FROM's own address nobody may learn anything new. An ARP request then tells no address (RFC 5227). A solicitation that
// tells none is answered to all nodes, who would believe whoever has the address too: it comes from another address.
func arpSource(w *way, l *snapshot.Link, to netip.Addr, o Options) netip.Addr {
	own := ownAddr(w, to)
	if own && to.Is4() {
		return netip.Addr{}
	}
	if o.Src.IsValid() && !own {
		return o.Src.Unmap()
	}
	var found netip.Addr
	for _, a := range l.Addrs {
		addr := a.Prefix.Addr()
		switch {
		case addr == to || addr.Is4() != to.Is4() || slices.Contains(a.Flags, "tentative") || slices.Contains(a.Flags, "dadfailed"):
		case a.Prefix.Contains(to) && !own:
			return addr
		case !found.IsValid() || addr.IsLinkLocalUnicast():
			found = addr
		}
	}
	return found
}

// ownAddr tells whether a link of FROM's has the address.
func ownAddr(w *way, to netip.Addr) bool {
	for i := range w.ns.Links {
		for _, a := range w.ns.Links[i].Addrs {
			if a.Prefix.Addr() == to {
				return true
			}
		}
	}
	return false
}
