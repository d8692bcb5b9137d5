package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// way is how FROM's own kernel would send a packet to an address, and what is odd about it.
type way struct {
	ns    snapshot.Namespace
	route snapshot.Route
	// err is the kernel's answer where it has no route.
	err error
	dev *snapshot.Link
	// local tells that the address is FROM's own.
	local bool
	// lost is FROM's own link on the address's subnet, where the route leads elsewhere: by another link or a gateway.
	lost     *snapshot.Link
	lostAddr netip.Prefix
}

// look reads FROM's links and routes, and asks its kernel for the way to an address.
func (f *From) look(to netip.Addr) (*way, error) {
	var c *rtnl.Conn
	if err := f.NS.Do(func() (err error) { c, err = rtnl.OpenTopology(); return err }); err != nil {
		return nil, err
	}
	defer c.Close()
	w := &way{}
	var gaps []error
	c.ReadTopology(&w.ns, func(_ string, err error, _ string) { gaps = append(gaps, err) })
	if len(w.ns.Links) == 0 && len(gaps) > 0 {
		return nil, errors.Join(gaps...)
	}
	w.route, w.err = c.RouteTo(to)
	w.judge(to)
	return w, nil
}

// judge finds the link that the route leads to, and whether it is the one that the address is on.
func (w *way) judge(to netip.Addr) {
	for i := range w.ns.Links {
		l := &w.ns.Links[i]
		if w.err == nil && l.Index == w.route.OIF {
			w.dev = l
		}
		for _, a := range l.Addrs {
			if a.Prefix.Addr() == to {
				w.local = true
			}
		}
	}
	w.local = w.local || w.route.Type == "local"
	if w.local {
		return
	}
	direct := w.err == nil && !w.route.Gateway.IsValid()
	for i := range w.ns.Links {
		l := &w.ns.Links[i]
		if direct && l == w.dev {
			continue
		}
		for _, a := range l.Addrs {
			// A link with the address's subnet, of more than itself, says that the address is a neighbour.
			if !a.Prefix.IsSingleIP() && a.Prefix.Contains(to) && !a.Peer.IsValid() && !w.directBy(to) {
				w.lost, w.lostAddr = l, a.Prefix
			}
		}
	}
}

// directBy tells whether the packet leaves by a link that has the address's subnet, without a gateway.
func (w *way) directBy(to netip.Addr) bool {
	return w.err == nil && !w.route.Gateway.IsValid() && w.dev != nil &&
		slices.ContainsFunc(w.dev.Addrs, func(a snapshot.Addr) bool { return a.Prefix.Contains(to) })
}

// down names a link of the way, or the lost one, that cannot carry anything, "" where there is none.
func (w *way) down() string {
	for _, l := range []*snapshot.Link{w.dev, w.lost} {
		if l == nil || l.Name == "lo" {
			continue
		}
		switch {
		case !slices.Contains(l.Flags, "up"):
			return l.Name + " is down"
		case slices.Contains(l.Flags, "lower_up"):
		case l.Kind == "veth":
			return l.Name + " has no carrier: the other end of its pair is down"
		case l.State == "lowerlayerdown":
			return l.Name + " has no carrier: its parent is down"
		case l.State == "down":
			return l.Name + " has no carrier"
		}
	}
	return ""
}

// text says where the packet goes: "by eth0 directly" or "by eth1 via 172.18.0.1".
func (w *way) text(name func(netip.Addr) string) string {
	switch {
	case w.local:
		return "its own address"
	case w.err != nil:
		return w.noRoute()
	}
	dev := fmt.Sprintf("link %d", w.route.OIF)
	if w.dev != nil {
		dev = w.dev.Name
	}
	if w.route.Gateway.IsValid() {
		return "by " + dev + " via " + whoIs(w.route.Gateway, name(w.route.Gateway))
	}
	return "by " + dev + " directly"
}

// noRoute says what the kernel said, and what there is.
func (w *way) noRoute() string {
	if w.err == nil {
		return ""
	}
	switch {
	case errors.Is(w.err, unix.EINVAL):
		return "a blackhole route drops it"
	case errors.Is(w.err, unix.EHOSTUNREACH):
		return "an unreachable route refuses it"
	case errors.Is(w.err, unix.EACCES):
		return "a prohibit route refuses it"
	case !errors.Is(w.err, unix.ENETUNREACH):
		return w.err.Error()
	}
	for _, r := range w.ns.Routes {
		if r.Type == "unicast" && r.Dst.Bits() == 0 && r.Dst.Addr().IsUnspecified() {
			return "no route"
		}
	}
	return "no route (and no default route)"
}

// odd says what is wrong with the way where something is: it may explain a failure, and is none by itself, because people
// may want it so.
func (w *way) odd(to netip.Addr, name func(netip.Addr) string) string {
	var parts []string
	if d := w.down(); d != "" {
		parts = append(parts, d)
	}
	switch {
	case w.local:
	case w.err != nil && w.lost != nil:
		parts = append(parts, fmt.Sprintf("%s to %v although %s has %v: the route of %v is missing", w.noRoute(), to, w.lost.Name, w.lostAddr, w.lostAddr.Masked()))
	case w.err != nil:
		parts = append(parts, fmt.Sprintf("%s to %v", w.noRoute(), to))
	case w.lost != nil:
		parts = append(parts, fmt.Sprintf("%v is %s's neighbour (%v), but packets leave %s: the route of %v is missing or overridden", to, w.lost.Name, w.lostAddr, w.text(name), w.lostAddr.Masked()))
	}
	return strings.Join(parts, "; ")
}

// neighbor is FROM's entry for the next hop, nil where it has none.
func (w *way) neighbor(to netip.Addr) *snapshot.Neighbor {
	hop := or(w.route.Gateway, to)
	for i, n := range w.ns.Neighbors {
		if n.Addr == hop && n.Ifindex == w.route.OIF {
			return &w.ns.Neighbors[i]
		}
	}
	return nil
}
