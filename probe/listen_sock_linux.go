package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// bindIn makes a socket of a type bound to an address, in the calling thread's namespace. The zero address is all addresses:
// of IPv6 and IPv4, or of IPv4 alone where the namespace has no IPv6.
func bindIn(typ int, o Options, addr netip.AddrPort, more func(fd int, v6 bool) error) (int, error) {
	try := func(a netip.AddrPort) (int, error) {
		v6 := !a.Addr().Unmap().Is4()
		return socketIn(domain(a.Addr()), typ, 0, func(fd int) error {
			if typ == unix.SOCK_STREAM { // connections of an earlier one that linger must not keep it from the port
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			}
			if v6 && !addr.Addr().IsValid() {
				only := 0
				if o.Family == 6 {
					only = 1
				}
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
					return err
				}
			}
			if o.Iface != "" {
				if err := unix.BindToDevice(fd, o.Iface); err != nil {
					return fmt.Errorf("interface %s: %w", o.Iface, err)
				}
			}
			if more != nil {
				if err := more(fd, v6); err != nil {
					return err
				}
			}
			if err := unix.Bind(fd, sockaddr(a)); err != nil {
				return os.NewSyscallError("bind", err)
			}
			if typ == unix.SOCK_STREAM {
				return os.NewSyscallError("listen", unix.Listen(fd, 1024))
			}
			return nil
		})
	}
	switch {
	case addr.Addr().IsValid():
		return try(addr)
	case o.Family == 4:
		return try(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()))
	}
	fd, err := try(netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port()))
	if o.Family != 6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
		return try(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()))
	}
	return fd, err
}

// listenTCP listens inside the namespace. [net.Listen] would ask about IPv6 once, in the first namespace that it sees.
func (f *From) listenTCP(o Options, addr netip.AddrPort) (net.Listener, error) {
	fd := -1
	err := f.NS.Do(func() (err error) { fd, err = bindIn(unix.SOCK_STREAM, o, addr, nil); return err })
	if err != nil {
		return nil, listenError(f, "TCP", addr, err)
	}
	return fileListener(fd)
}

// fileListener takes a listening descriptor over.
func fileListener(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close() // net has its own copy
	return net.FileListener(file)
}

// listenError makes an error of bind(2) clear.
func listenError(f *From, proto string, addr netip.AddrPort, err error) error {
	where := fmt.Sprintf("%s port %d of %s", proto, addr.Port(), f.Name)
	if addr.Addr().IsValid() {
		where = fmt.Sprintf("%s %v of %s", proto, addr, f.Name)
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s is in use: %w", where, err)
	case errors.Is(err, unix.EACCES):
		return &NeedsError{Probe: "listen", From: f.Name, Needs: "CAP_NET_BIND_SERVICE", Why: where, Or: "a port from 1024 on", Err: err}
	case errors.Is(err, unix.ENODEV):
		return &OptionError{fmt.Errorf("%s: %w", f.Name, err)}
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return &OptionError{fmt.Errorf("%s has no address %v: %w", f.Name, addr.Addr(), err)}
	}
	return fmt.Errorf("%s: %w", where, err)
}
