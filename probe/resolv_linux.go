package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/netns"
)

// readFile reads a file as FROM's processes see it, or nscope's own where FROM has no process.
func (f *From) readFile(name string) ([]byte, error) {
	if f.PID != 0 {
		return netns.ReadIn(f.proc(), f.PID, name)
	}
	return os.ReadFile(name)
}

// resolvConf reads FROM's resolv.conf. kind is the probe that needs it.
func (f *From) resolvConf(kind string) (*ResolvConf, error) {
	const path = "/etc/resolv.conf"
	b, err := f.readFile(path)
	missing := errors.Is(err, fs.ErrNotExist) && !errors.Is(err, netns.ErrGone)
	switch {
	case missing || err == nil:
	case errors.Is(err, fs.ErrPermission) && f.PID != 0:
		var op *netns.OpError
		needs := "CAP_SYS_PTRACE"
		if errors.As(err, &op) {
			needs = or(op.Needs, needs)
		}
		return nil, &NeedsError{Probe: kind, From: f.Name, Needs: needs, Why: fmt.Sprintf("to read %s of process %d", path, f.PID), Or: "a server given by its address", Err: err}
	default:
		return nil, fmt.Errorf("how %s resolves names is not known: %w", f.Name, err)
	}
	c := parseResolvConf(b)
	c.Path, c.Missing, c.Of = path, missing, "where nscope runs"
	if f.PID != 0 {
		c.Of = "pid " + strconv.Itoa(f.PID)
	}
	if len(c.Servers) == 0 {
		c.Servers = append(c.Servers, Nameserver{netip.AddrFrom4([4]byte{127, 0, 0, 1})}) // as __res_vinit does
	}
	if len(c.Search) == 0 {
		if d := f.hostDomain(); d != "" {
			c.Search = append(c.Search, d)
		}
	}
	return c, nil
}

// hostDomain is what follows the first dot of FROM's host name: glibc's search list where resolv.conf has none.
func (f *From) hostDomain() string {
	var name string
	if f.PID != 0 {
		name, _ = netns.Hostname(f.proc(), f.PID)
	} else {
		name, _ = os.Hostname()
	}
	_, domain, _ := strings.Cut(name, ".")
	return strings.TrimSuffix(domain, ".")
}

// server is the address of a nameserver; a zone becomes the index of the interface in FROM's namespace.
func (f *From) server(a netip.Addr, port uint16) (netip.AddrPort, error) {
	zone := a.Zone()
	if zone == "" {
		return netip.AddrPortFrom(a, port), nil
	}
	index, err := strconv.Atoi(zone)
	if err != nil {
		err = f.NS.Do(func() error {
			i, err := net.InterfaceByName(zone)
			if err == nil {
				index = i.Index
			}
			return err
		})
	}
	return netip.AddrPortFrom(a.WithZone(strconv.Itoa(index)), port), err
}

// hosts looks a name up in FROM's hosts file, nil where it is not there or cannot be read.
func (f *From) hosts(look func([]byte) *HostsHit) *HostsHit {
	const path = "/etc/hosts"
	b, err := f.readFile(path)
	if err != nil {
		return nil
	}
	hit := look(b)
	if hit != nil {
		hit.Path = path
	}
	return hit
}
