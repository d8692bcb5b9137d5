package cmd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// dest is TO as it was given, taken apart.
type dest struct {
	asked string
	// host is TO without its port; addr is set where that is an address, zone the interface's name of a link-local one.
	host string
	addr netip.Addr
	port uint16
	// bare tells that host may also be a name for FROM's resolver; named that it is one only ("name:db").
	bare, named bool
}

// explicitTargets are the words that make TO a TARGET and nothing else.
var explicitTargets = []string{"container", "if", "link", "net", "netns", "network", "path", "pid", "service", "vtep"}

// parseDest takes "db", "db:5432", "service:web:80", "10.0.0.1:80", "[fd00::1]:80", "fd00::1", "name:db:80" apart.
func parseDest(s string) (dest, error) {
	d := dest{asked: s, host: s}
	if s == "" {
		return d, usagef("TO is empty")
	}
	if a, err := netip.ParseAddr(s); err == nil {
		d.addr = a
		return d, nil
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok := strings.Cut(inner, "]")
		a, err := netip.ParseAddr(host)
		if !ok || err != nil || rest != "" && !strings.HasPrefix(rest, ":") {
			return d, usagef("%q is no address: an IPv6 address with a port is written [fd00::1]:80", s)
		}
		d.host, d.addr = host, a
		if rest == "" {
			return d, nil
		}
		d.port, err = parsePort(rest[1:], s)
		return d, err
	}
	if rest, ok := strings.CutPrefix(s, "name:"); ok {
		d.named, d.host = true, rest
	}
	if i := strings.LastIndexByte(d.host, ':'); i >= 0 && !slices.Contains(explicitTargets, d.host[:i]) {
		port, err := parsePort(d.host[i+1:], s)
		head := d.host[:i]
		kind, _, explicit := strings.Cut(head, ":")
		switch {
		case err == nil:
			d.host, d.port = head, port
		case explicit && slices.Contains(explicitTargets, kind), strings.HasPrefix(head, "path"):
			// A node's id, or a path with a colon: the graph will say.
		default:
			return d, err
		}
	}
	if d.host == "" {
		return d, usagef("%q names nothing before the port", s)
	}
	if a, err := netip.ParseAddr(d.host); err == nil {
		d.addr = a
		return d, nil
	}
	kind, rest, explicit := strings.Cut(d.host, ":")
	if d.named {
		if explicit {
			return d, usagef("%q is no name", d.host)
		}
		return d, nil
	}
	explicit = explicit && slices.Contains(explicitTargets, kind)
	if explicit && rest == "" {
		return d, usagef("%q names nothing after the colon", s)
	}
	d.bare = !explicit && d.host != "host" && d.host != "self" && !strings.Contains(d.host, "/")
	return d, nil
}

func parsePort(s, in string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, usagef("%q in %q is no port: a number from 1 to 65535", s, in)
	}
	return uint16(n), nil
}

// portUse says what a kind does with TO's port.
type portUse int

const (
	noPort portUse = iota
	maybePort
	needsPort
)

// checkPort refuses a port where none is used, and the lack of one where it is needed.
func (d dest) checkPort(kind string, use portUse) error {
	switch {
	case use == needsPort && d.port == 0:
		form := d.asked + ":PORT"
		if d.addr.Is6() {
			form = "[" + d.host + "]:PORT"
		}
		return usagef("probe %s needs a port: %s", kind, form)
	case use == noPort && d.port != 0:
		return usagef("probe %s has no use for a port: leave %q away", kind, fmt.Sprintf(":%d", d.port))
	}
	return nil
}

// node finds the TARGET that TO is, nil where it is none: then it is a name for FROM's resolver, and note says why it is
// taken for one although something is called nearly so.
func (d dest) node(s *scene) (n *topo.Node, note string, err error) {
	g := s.g
	if d.addr.IsValid() || d.named || g == nil {
		return nil, "", nil
	}
	if direct(d.host) {
		if n, err := s.opened(d.host); n != nil || err != nil {
			return n, "", err
		}
	}
	n, err = g.ResolveExact(d.host)
	if !d.bare {
		return n, "", err
	}
	var ambiguous *topo.AmbiguousError
	switch {
	case err == nil && n.Kind == topo.KindNetwork:
		return nil, fmt.Sprintf("%q is a network, which has no address: FROM's resolver is asked for the name", d.host), nil
	case err == nil:
		return n, "", nil
	case errors.As(err, &ambiguous):
		return nil, fmt.Sprintf("%q may be any of %d things here (%s): FROM's resolver is asked for the name", d.host, len(ambiguous.Forms), strings.Join(ambiguous.Forms[:min(3, len(ambiguous.Forms))], ", ")), nil
	}
	if near, err := g.Resolve(d.host); err == nil {
		return nil, fmt.Sprintf("%q is the start of %s, not a whole name: FROM's resolver is asked for it", d.host, g.TargetOf(near)), nil
	}
	return nil, "", nil
}
