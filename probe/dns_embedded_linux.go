package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// embedded finds out what is wrong with Docker's own resolver after it did not resolve a name, and says it in one line; ""
// where it was not asked or nothing is known. The queries that it makes are steps of their own.
//
// Docker's resolver listens inside the container's namespace on two high ports of 127.0.0.11; rules of table nat (chains
// DOCKER_OUTPUT and DOCKER_POSTROUTING) lead port 53 there. It forwards what it does not know itself to the servers of the
// host's resolv.conf, by sockets in the container's namespace, or in the host's where a server has a loopback address.
func (a *dnsAsker) embedded(ctx context.Context, out *resolution, types []uint16, given *netip.AddrPort) (string, error) {
	var failure *dnsReply
	for _, r := range out.failed {
		if r.server.Addr() == embeddedDNS {
			failure = r
		}
	}
	asked := out.server.Addr() == embeddedDNS || given != nil && given.Addr() == embeddedDNS
	switch {
	case failure != nil && failure.msg == nil && (failure.class == Refused || failure.class == Timeout):
		d, direct, err := a.listener(ctx, failure, out.fqdn, types)
		// What is behind it has no part in this where it is explained; a name of one label nobody outside knows.
		if err != nil || direct || d != "" && !dotted(out.fqdn) {
			return d, err
		}
		more, err := a.upstreams(ctx, failure.says(), out.fqdn, types, false)
		return or(d, more), err
	case failure != nil && failure.msg != nil:
		return a.upstreams(ctx, "Docker's resolver (127.0.0.11) "+failure.reason, out.fqdn, types, false)
	case asked && out.class == NotFound && dotted(out.fqdn):
		return a.upstreams(ctx, "Docker's resolver (127.0.0.11) has "+strings.TrimSuffix(out.reason, ", says 127.0.0.11"), out.fqdn, types, true)
	}
	return "", nil
}

// dotted tells a name of more than one label.
func dotted(fqdn string) bool { return strings.Count(fqdn, ".") > 1 }

// listener looks where Docker's resolver listens and asks it there. direct tells that this explains it all.
func (a *dnsAsker) listener(ctx context.Context, failure *dnsReply, name string, types []uint16) (diagnosis string, direct bool, err error) {
	says := "127.0.0.11:53 refuses"
	if failure.class != Refused {
		says = "127.0.0.11:53 does not answer"
	}
	udp, tcp, err := a.from.embeddedPorts()
	if err != nil {
		return "", false, nil // nothing is known
	}
	if len(udp)+len(tcp) == 0 {
		return says + ": no resolver listens in this netns (listener gone)", false, nil
	}
	if slices.Contains(udp, dnsPort) {
		return "", false, nil // something else, which needs no rules
	}
	one := *a
	for _, try := range []struct {
		ports   []uint16
		tcpOnly bool
	}{{udp, false}, {tcp, true}} {
		for _, port := range try.ports {
			server := netip.AddrPortFrom(embeddedDNS, port)
			one.tcpOnly = try.tcpOnly
			replies, err := one.exchange(ctx, "embedded-direct", server, name, types[:1])
			if err != nil {
				return "", false, err
			}
			if len(replies) == 0 || replies[0].msg == nil {
				continue
			}
			d := fmt.Sprintf("%s, but Docker's resolver answers on %v: the DOCKER_OUTPUT redirect rules of this netns ", says, server)
			if failure.class == Refused {
				return d + "are gone", true, nil
			}
			return d + "do not lead there", true, nil
		}
	}
	if ctx.Err() != nil {
		return "", false, nil
	}
	return says + fmt.Sprintf(", and what listens on %v is silent too", netip.AddrPortFrom(embeddedDNS, append(udp, tcp...)[0])), false, nil
}

// upstreams asks the servers behind Docker's resolver. says is what that one said; only where one of them knows better than
// "not found" there is something to say.
func (a *dnsAsker) upstreams(ctx context.Context, says, name string, types []uint16, notFound bool) (string, error) {
	var good, bad []string
	for _, u := range a.upstreamServers() {
		up := *a
		up.tcpOnly = false
		if u.host {
			if a.from.UpstreamNS == nil {
				continue
			}
			up.from, up.at = &From{Name: "host", NS: a.from.UpstreamNS}, "host"
		}
		server, err := up.from.server(u.server.Addr(), u.server.Port())
		if err != nil {
			continue
		}
		replies, err := up.exchange(ctx, "upstream", server, name, types)
		if u.host && errors.Is(err, fs.ErrPermission) {
			continue // FROM may be asked from, the host may not
		}
		if err != nil {
			return "", err
		}
		who := serverName(server)
		if u.host {
			who += " (asked from the host)"
		}
		fine, reason := false, ""
		for _, r := range replies {
			fine = fine || r.class == OK || !notFound && r.final()
			if !r.final() {
				reason = or(r.reason, string(r.class))
			}
		}
		switch {
		case fine:
			good = append(good, who)
		case reason != "":
			bad = append(bad, who+": "+reason)
		}
	}
	switch {
	case len(good) > 0:
		return says + ", but its upstream " + strings.Join(good, ", ") + " answers when asked directly", nil
	case len(bad) > 0 && !notFound:
		return says + "; its upstream does not answer either: " + strings.Join(bad, "; "), nil
	}
	return "", nil
}

type upstream struct {
	server netip.AddrPort
	host   bool
}

// upstreamServers are what the engine's files and the comment in resolv.conf say. Docker asks a loopback address from the
// host's namespace.
func (a *dnsAsker) upstreamServers() []upstream {
	var list []upstream
	add := func(u upstream) {
		if u.server.Addr() != embeddedDNS && !slices.ContainsFunc(list, func(o upstream) bool { return o.server == u.server }) {
			list = append(list, u)
		}
	}
	if a.conf != nil {
		for _, e := range a.conf.Ext {
			add(upstream{netip.AddrPortFrom(e.Addr, dnsPort), e.Host})
		}
	}
	for _, s := range a.from.Upstreams {
		add(upstream{netip.AddrPortFrom(s.Addr(), or(s.Port(), uint16(dnsPort))), s.Addr().IsLoopback()})
	}
	return list
}

// embeddedPorts are the ports of 127.0.0.11 that something listens on in FROM's namespace.
func (f *From) embeddedPorts() (udp, tcp []uint16, err error) {
	err = f.NS.Do(func() error {
		for _, t := range []struct {
			name, state string // include/net/tcp_states.h: an UDP socket that is not connected is in TCP_CLOSE
			ports       *[]uint16
		}{{"udp", "07", &udp}, {"tcp", "0A", &tcp}} {
			// thread-self: /proc/net would be the main thread's.
			b, err := os.ReadFile("/proc/thread-self/net/" + t.name)
			if err != nil {
				return err
			}
			*t.ports = listening(string(b), t.state, embeddedDNS)
		}
		return nil
	})
	return udp, tcp, err
}

// listening reads /proc/net/udp or tcp: the ports of an IPv4 address in a state. The address is one number in the host's byte
// order (net/ipv4/udp.c, udp4_format_sock).
func listening(table, state string, addr netip.Addr) []uint16 {
	var ports []uint16
	sc := bufio.NewScanner(strings.NewReader(table))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 4 || f[3] != state {
			continue
		}
		ip, port, _ := strings.Cut(f[1], ":")
		b, err := hex.DecodeString(ip)
		if err != nil || len(b) != 4 || netip.AddrFrom4(hostOrder([4]byte(b))) != addr {
			continue
		}
		if p, err := strconv.ParseUint(port, 16, 16); err == nil && !slices.Contains(ports, uint16(p)) {
			ports = append(ports, uint16(p))
		}
	}
	return ports
}

// hostOrder turns the digits of a number that was printed in the host's order into the bytes of an address.
func hostOrder(b [4]byte) [4]byte {
	var out [4]byte
	binary.NativeEndian.PutUint32(out[:], binary.BigEndian.Uint32(b[:]))
	return out
}
