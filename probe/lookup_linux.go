package probe

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// defaultQueryTimeout is how long one answer of a name server is waited for where nobody says otherwise.
const defaultQueryTimeout = 2 * time.Second

// Lookup resolves a name as FROM itself would: /etc/hosts, then the servers of its /etc/resolv.conf with search list and
// ndots. It does so as glibc with "hosts: files dns" does; musl asks all servers at once and searches less. Of the options
// it heeds Family, Timeout (for each query; default what resolv.conf says, else 2 s), Pace. The addresses are sorted as
// getaddrinfo does; an address is its own answer. The error is a [*LookupError] where the answer is that there
// is none, and where the context ended.
func (f *From) Lookup(ctx context.Context, host string, o Options) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		s, err := f.server(a, 0)
		if err != nil {
			return nil, &LookupError{host, NotFound, "no such interface: " + a.Zone()}
		}
		return []netip.Addr{s.Addr().Unmap()}, nil
	}
	types := addrTypes(o.Family)
	if hit := f.hosts(func(b []byte) *HostsHit { return hostsName(b, host) }); hit != nil {
		if addrs := ofTypes(hit.Addrs, types); len(addrs) > 0 {
			return f.sorted(addrs), nil
		}
	}
	conf, err := f.resolvConf("name resolution")
	if err != nil {
		return nil, err
	}
	a := &dnsAsker{kind: "name resolution", from: f, conf: conf, o: Options{Pace: o.pace()}, timeout: queryTimeout(o, conf), tcpOnly: conf.has("use-vc")}
	out, _, err := a.resolve(ctx, host, types)
	if err != nil {
		return nil, err
	}
	if out.class == OK && len(out.addrs) == 0 {
		out.class, out.reason = NotFound, "no address, says "+serverName(out.server)
	}
	if out.class != OK {
		reason := out.reason
		if !out.interrupted {
			if d, err := a.embedded(ctx, &out, types, nil); err != nil {
				return nil, err
			} else if d != "" {
				reason = d
			}
		}
		return nil, &LookupError{host, out.class, reason}
	}
	return f.sorted(out.addrs), nil
}

// resolve asks the servers of resolv.conf for a name and what the search list makes of it.
func (a *dnsAsker) resolve(ctx context.Context, host string, types []uint16) (resolution, []netip.AddrPort, error) {
	if _, ok := dns.IsDomainName(host); !ok || host == "" || strings.ContainsAny(host, " \t\n\\") {
		return resolution{class: NotFound, reason: "that is no name of a host"}, nil, nil
	}
	var servers []netip.AddrPort
	var zone error
	for _, s := range a.conf.Servers {
		server, err := a.from.server(s.Addr, dnsPort)
		if errors.Is(err, fs.ErrPermission) {
			return resolution{}, nil, a.needs(err)
		}
		if err != nil {
			zone = err
			continue
		}
		servers = append(servers, server)
	}
	if len(servers) == 0 {
		return resolution{class: Failed, reason: "no name server can be asked: " + zone.Error()}, nil, nil
	}
	if a.conf.has("no-aaaa") && len(types) > 1 {
		types = slices.DeleteFunc(slices.Clone(types), func(t uint16) bool { return t == dns.TypeAAAA })
	}
	var names []candidate
	for _, c := range a.conf.names(host) {
		if _, ok := dns.IsDomainName(c.name); ok && !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	if len(names) == 0 {
		return resolution{class: NotFound, reason: "that is no name of a host"}, nil, nil
	}
	out, err := a.search(ctx, names, types, servers)
	return out, servers, err
}

// queryTimeout is how long one answer is waited for.
func queryTimeout(o Options, conf *ResolvConf) time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	if conf != nil {
		for _, opt := range conf.Options {
			if strings.HasPrefix(opt, "timeout:") {
				return time.Duration(conf.TimeoutS) * time.Second
			}
		}
	}
	return defaultQueryTimeout
}

// addrTypes are the record types of a family's addresses, 0: both.
func addrTypes(family int) []uint16 {
	switch family {
	case 4:
		return []uint16{dns.TypeA}
	case 6:
		return []uint16{dns.TypeAAAA}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

func ofTypes(addrs []netip.Addr, types []uint16) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		t := dns.TypeAAAA
		if a.Is4() {
			t = dns.TypeA
		}
		if slices.Contains(types, t) {
			list = append(list, a)
		}
	}
	return list
}

// sorted sorts addresses as FROM's C library does: connecting an UDP socket tells the source address and sends nothing.
func (f *From) sorted(addrs []netip.Addr) []netip.Addr {
	if len(addrs) < 2 {
		return addrs
	}
	srcs := make([]netip.Addr, len(addrs))
	err := f.NS.Do(func() error {
		for i, a := range addrs {
			fd, err := unix.Socket(domain(a), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				continue
			}
			if unix.Connect(fd, sockaddr(netip.AddrPortFrom(a, dnsPort))) == nil {
				if sa, err := unix.Getsockname(fd); err == nil {
					srcs[i] = addrPort(sa).Addr()
				}
			}
			unix.Close(fd)
		}
		return nil
	})
	if err != nil {
		return addrs
	}
	return sortAddrs(addrs, srcs)
}
