package conntrack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/kmod"
	"github.com/nscope/nscope/internal/nlwire"
)

// ErrNoModule tells that entries cannot be asked for without loading a module.
var ErrNoModule = errors.New("the kernel module nf_conntrack_netlink is not loaded: connections can be counted, not listed")

// maxTries is how often a dump is begun whose table grew or shrank meanwhile.
const maxTries = 3

// Conn asks one namespace. It is for one goroutine at a time.
type Conn struct{ sock *nlwire.Socket }

// Open opens a socket in the calling thread's network namespace; the Conn may then be used from any thread.
func Open() (*Conn, error) {
	if !kmod.MayAsk("nfnetlink") || !kmod.MayAsk("nf_conntrack_netlink") {
		return nil, ErrNoModule
	}
	s, err := nlwire.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	return &Conn{s}, nil
}

// Close closes the socket.
func (c *Conn) Close() error { return c.sock.Close() }

// List is what was found.
type List struct {
	// Conns are at most as many as asked for, in the order of protocol and addresses; never nil.
	Conns []snapshot.Conn
	// Matched is how many there are that match, Seen how many the kernel told of in all; it leaves out those that it filtered.
	Matched, Seen int
}

// Read reads the entries that match, and keeps at most limit (0 or less: no limit). It needs CAP_NET_ADMIN in the namespace's
// user namespace.
func (c *Conn) Read(f Filter, limit int) (*List, error) {
	l := &List{Conns: []snapshot.Conn{}}
	for _, family := range f.families() {
		err := c.dump(l, &f, limit, f.request(family, true))
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			err = c.dump(l, &f, limit, f.request(family, false)) // a kernel that filters otherwise
		}
		if err != nil {
			return nil, fmt.Errorf("conntrack: %w", err)
		}
	}
	slices.SortStableFunc(l.Conns, func(a, b snapshot.Conn) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Orig.Src.Compare(b.Orig.Src), a.Orig.Dst.Compare(b.Orig.Dst), cmp.Compare(a.ID, b.ID))
	})
	return l, nil
}

// dump adds what one dump tells of. A busy table changes always, so that in the end a dump that was interrupted counts:
// entries are whole, and their list is of a moment anyhow.
func (c *Conn) dump(l *List, f *Filter, limit int, req []byte) error {
	for try := 1; ; try++ {
		before, n := *l, len(l.Conns)
		err := c.sock.Do(slices.Clone(req), func(m nlwire.Message) {
			var e snapshot.Conn
			if m.Type != msgNew || !decode(m.Data, &e) {
				return
			}
			l.Seen++
			if !f.Match(&e) {
				return
			}
			l.Matched++
			if limit <= 0 || len(l.Conns) < limit {
				l.Conns = append(l.Conns, e)
			}
		})
		if !errors.Is(err, nlwire.ErrInterrupted) {
			return err
		}
		if try == maxTries {
			return nil
		}
		*l = before
		l.Conns = l.Conns[:n]
	}
}
