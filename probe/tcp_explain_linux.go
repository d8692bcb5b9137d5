package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// explainer looks in FROM's own kernel for why an attempt had no answer. It asks at most once a second.
type explainer struct {
	from *From
	o    Options

	mu    sync.Mutex
	asked time.Time
	way   *way
}

// look is FROM's way to the address, nil where it cannot be read.
func (e *explainer) look(to netip.Addr) *way {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.asked) > time.Second {
		e.way, _ = e.from.look(to)
		e.asked = time.Now()
	}
	return e.way
}

// unanswered says that FROM's next hop has not answered ARP or neighbour discovery, "" where it has or nothing is known.
func (e *explainer) unanswered(to netip.Addr) string {
	w := e.look(to)
	if w == nil || w.err != nil || w.local {
		return ""
	}
	n := w.neighbor(to)
	if n == nil || n.State != "incomplete" && n.State != "failed" {
		return ""
	}
	how := "ARP"
	if n.Addr.Unmap().Is6() {
		how = "NDP"
	}
	s := fmt.Sprintf("no %s reply from %v", how, n.Addr)
	if w.dev != nil {
		s += " on " + w.dev.Name
	}
	return s
}

// neighbour makes a silent attempt unreachable where the next hop does not answer: the kernel says so itself only after
// three tries, a second apart.
func (e *explainer) neighbour(a *Attempt) {
	if why := e.unanswered(a.Remote.Addr()); why != "" {
		a.Class, a.Reason, a.Detail = Unreachable, why, ""
	}
}

// own judges an ICMP error that FROM's own kernel sent: a neighbour that does not answer (arp_error_report in
// net/ipv4/arp.c), or an OUTPUT rule that rejects.
func (e *explainer) own(a *Attempt) {
	if !a.By.IsValid() || a.By != a.Local.Addr() || a.By == a.Remote.Addr() {
		return
	}
	if a.Class == Unreachable {
		if why := e.unanswered(a.Remote.Addr()); why != "" {
			a.By, a.Reason = netip.Addr{}, why
			return
		}
	}
	a.Class, a.Reason = Denied, "its own OUTPUT rules reject it ("+a.Reason+")"
}

// outputDrops tells whether FROM's own kernel drops a SYN of this connection before it leaves: a raw socket hears EPERM, which
// TCP keeps to itself. What is sent where nothing drops it is the same SYN again, without a checksum so that nobody
// takes it for a new one. It needs CAP_NET_RAW; without it asked is false.
func (f *From) outputDrops(local, remote netip.AddrPort, o Options) (drops, asked bool) {
	o.SrcPort, o.Src = 0, local.Addr().WithZone("")
	to := remote.Addr()
	s, err := f.open(domain(to), unix.SOCK_RAW, unix.IPPROTO_TCP, o.setup(to))
	if err != nil {
		return false, !errors.Is(err, fs.ErrPermission)
	}
	defer s.Close()
	syn := make([]byte, 20) // RFC 9293 §3.1
	syn[0], syn[1] = byte(local.Port()>>8), byte(local.Port())
	syn[2], syn[3] = byte(remote.Port()>>8), byte(remote.Port())
	syn[12], syn[13], syn[14] = 5<<4, 2, 0xff
	err = s.control(func(fd int) error {
		// A raw IPv6 socket takes the protocol as port: it must be 0 or that (rawv6_sendmsg in net/ipv6/raw.c).
		return unix.Sendto(fd, syn, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, sockaddr(netip.AddrPortFrom(to, 0)))
	})
	return err == unix.EPERM, true
}
