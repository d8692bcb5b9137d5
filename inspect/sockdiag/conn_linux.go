package sockdiag

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/kmod"
	"github.com/nscope/nscope/internal/nlwire"
)

// table is one of the kernel's tables of sockets.
type table struct {
	proto, familyName string
	family, number    uint8
	// module is who answers for it, file what tells the same in words.
	module, file string
	has          func(counts) bool
}

var tables = []table{
	{"raw", "inet", afInet, protoRaw, "raw_diag", "raw", func(c counts) bool { return c.raw }},
	{"raw", "inet6", afInet6, protoRaw, "raw_diag", "raw6", func(c counts) bool { return c.raw6 }},
	{"tcp", "inet", afInet, protoTCP, "tcp_diag", "tcp", func(c counts) bool { return c.tcp }},
	{"tcp", "inet6", afInet6, protoTCP, "tcp_diag", "tcp6", func(c counts) bool { return c.tcp6 }},
	{"udp", "inet", afInet, protoUDP, "udp_diag", "udp", func(c counts) bool { return c.udp }},
	{"udp", "inet6", afInet6, protoUDP, "udp_diag", "udp6", func(c counts) bool { return c.udp6 }},
}

// Conn asks one namespace. It is for one goroutine at a time.
type Conn struct {
	sock *nlwire.Socket
	ask  []*table
	// text holds the files of those tables that cannot be asked without loading a module.
	text []textFile
}

type textFile struct {
	*table
	*os.File
}

const procNet = "/proc/thread-self/net/"

// Open opens what is needed in the calling thread's network namespace; the Conn may then be used from any thread. Tables
// in which the namespace has nothing now are not asked later.
func Open() (*Conn, error) {
	c := &Conn{}
	has, err := countSockets()
	for i := range tables {
		t := &tables[i]
		if err == nil && !t.has(has) {
			continue
		}
		if err := c.add(t); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// add chooses how a table is read, and opens what that takes while the thread is in the namespace.
func (c *Conn) add(t *table) error {
	if kmod.MayAsk(t.module) {
		if c.sock == nil {
			var err error
			if c.sock, err = nlwire.Open(unix.NETLINK_SOCK_DIAG); err != nil {
				return fmt.Errorf("open sock_diag: %w", err)
			}
		}
		if answers(c.sock, t) {
			c.ask = append(c.ask, t)
			return nil
		}
	}
	f, err := os.Open(procNet + t.file)
	switch {
	case errors.Is(err, os.ErrNotExist): // no IPv6
		return nil
	case err != nil:
		return fmt.Errorf("open sockets: %w", err)
	}
	c.text = append(c.text, textFile{t, f})
	return nil
}

// countSockets tells which tables have something of this thread's namespace.
func countSockets() (counts, error) {
	var buf [2048]byte
	n, err := readFile(procNet+"sockstat", buf[:])
	if err != nil {
		return counts{}, err
	}
	n6, err := readFile(procNet+"sockstat6", buf[n:])
	if err != nil && err != unix.ENOENT {
		return counts{}, err
	}
	return parseCounts(buf[:n+n6]), nil
}

func readFile(path string, buf []byte) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	return max(n, 0), err
}

// Close closes what Open opened.
func (c *Conn) Close() error {
	var errs []error
	if c.sock != nil {
		errs = append(errs, c.sock.Close())
		c.sock = nil
	}
	for _, f := range c.text {
		errs = append(errs, f.Close())
	}
	c.text = nil
	return errors.Join(errs...)
}

// Read lists the namespace's sockets, at most limit of them (0 or less: no limit), sorted by protocol, local and remote
// address, never nil; truncated tells that there were more. Listening and unconnected ones are kept before all others,
// because they are what a published port or a resolver needs. Inode is set, PID and Comm are left to who knows the
// processes. A socket's mark is told to CAP_NET_ADMIN alone. The kernel does not count half-open connections (syn-recv): in
// a namespace whose every TCP socket is of the other IP version they are not seen.
//
// With an error it returns what could be read.
func (c *Conn) Read(limit int) (socks []snapshot.Socket, truncated bool, err error) {
	return c.read(limit, allStates, func(*snapshot.Socket) bool { return true })
}

// Listening is [Conn.Read] of the TCP sockets that listen and the UDP sockets without a peer alone.
func (c *Conn) Listening(limit int) (socks []snapshot.Socket, truncated bool, err error) {
	return c.read(limit, 1<<unix.BPF_TCP_LISTEN|1<<unix.BPF_TCP_CLOSE, func(s *snapshot.Socket) bool {
		return s.Proto == "tcp" && s.State == "listen" || s.Proto == "udp" && !s.Remote.IsValid()
	})
}

func (c *Conn) read(limit int, states uint32, want func(*snapshot.Socket) bool) (socks []snapshot.Socket, truncated bool, err error) {
	if limit <= 0 {
		limit = int(^uint(0) >> 1)
	}
	l := list{limit: limit, want: want, socks: []snapshot.Socket{}}
	var errs []error
	for _, t := range c.ask {
		errs = append(errs, c.dump(t, states, &l))
	}
	for _, f := range c.text {
		errs = append(errs, f.read(&l))
	}
	sortSockets(l.socks)
	return l.socks, l.truncated, errors.Join(errs...)
}

// list keeps at most limit sockets, those without a peer before others.
type list struct {
	limit     int
	want      func(*snapshot.Socket) bool
	socks     []snapshot.Socket
	evict     int // where to look for one that may go
	truncated bool
}

func (l *list) add(s *snapshot.Socket) {
	if !l.want(s) {
		return
	}
	if len(l.socks) < l.limit {
		l.socks = append(l.socks, *s)
		return
	}
	l.truncated = true
	if s.Remote.IsValid() {
		return
	}
	for ; l.evict < len(l.socks); l.evict++ {
		if l.socks[l.evict].Remote.IsValid() {
			l.socks[l.evict] = *s
			l.evict++
			return
		}
	}
}

// maxTries is how often a dump is begun when the table changes meanwhile.
const maxTries = 3

func (c *Conn) dump(t *table, states uint32, l *list) error {
	before := *l
	for try := 1; ; try++ {
		var s snapshot.Socket
		req := nlwire.NewRequest(sockDiagByFamily, unix.NLM_F_DUMP, request(t.family, t.number, states))
		err := c.sock.Do(req, func(m nlwire.Message) {
			if m.Type == sockDiagByFamily && decode(m.Data, t.proto, &s) {
				l.add(&s)
			}
		})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, nlwire.ErrInterrupted) && try < maxTries && !l.truncated:
			*l = before
			l.socks = l.socks[:len(before.socks)]
			continue
		}
		return fmt.Errorf("read %s sockets of %s: %w", t.proto, t.familyName, err)
	}
}

func (f textFile) read(l *list) error {
	if _, err := f.Seek(0, 0); err != nil {
		return fmt.Errorf("read %s: %w", f.file, err)
	}
	sc := bufio.NewScanner(f.File)
	var s snapshot.Socket
	for sc.Scan() {
		if decodeText(sc.Bytes(), f.proto, f.familyName, &s) {
			l.add(&s)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read %s: %w", f.file, err)
	}
	return nil
}

func sortSockets(socks []snapshot.Socket) {
	slices.SortStableFunc(socks, func(a, b snapshot.Socket) int {
		if c := strings.Compare(a.Proto, b.Proto); c != 0 {
			return c
		}
		if c := a.Local.Compare(b.Local); c != 0 {
			return c
		}
		if c := a.Remote.Compare(b.Remote); c != 0 {
			return c
		}
		if c := strings.Compare(a.State, b.State); c != 0 {
			return c
		}
		return int(min(max(int64(a.Inode)-int64(b.Inode), -1), 1))
	})
}
