package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/bpf"
	"github.com/nscope/nscope/inspect/engine"
	"github.com/nscope/nscope/inspect/ipvs"
	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/procnet"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/sockdiag"
)

// maxSockets bounds how many sockets of one namespace a snapshot holds; what is cut off is a gap.
const maxSockets = 20000

// Collect reads the host. The error is about the host as a whole; what could not be read in part is in Gaps.
func Collect(ctx context.Context, opts ...Option) (*snapshot.Snapshot, error) {
	c := &collector{options: newOptions(opts), start: time.Now(), read: map[snapshot.NSID]*space{}, bpf: bpf.NewReader()}
	return c.collect(ctx)
}

// space is one namespace while it is read.
type space struct {
	ns *snapshot.Namespace
	// handle pins the namespace until its links are wired, so that its inode cannot come to mean another one. Who takes a space out of a
	// collector's read closes it (put, drop): else it keeps the namespace for ever.
	handle *netns.Handle
	gaps   []snapshot.Gap
	// shared is set once somebody else may read ns: it is then not changed any more, but replaced (own).
	shared bool
	// owned tells that the processes of its sockets are filled in.
	owned bool
}

// own makes ns the collector's alone, with those lists that wiring writes into.
func (s *space) own() {
	if !s.shared {
		return
	}
	n := *s.ns
	n.Links, n.NSIDs = slices.Clone(n.Links), slices.Clone(n.NSIDs)
	for i := range n.Links {
		if p := n.Links[i].Peer; p != nil {
			own := *p
			n.Links[i].Peer = &own
		}
	}
	s.ns, s.shared = &n, false
}

type collector struct {
	options
	start time.Time
	// pin tells whether every namespace's handle may stay open until the end.
	pin   bool
	found *netns.Found
	read  map[snapshot.NSID]*space
	gaps  []snapshot.Gap
	bpf   *bpf.Reader
	// ids is what wiring proved last, told what the engines said last.
	ids  map[snapshot.NSID]map[int]snapshot.NSID
	told engine.Result
	// offers are the namespaces of which the graph needs the listening sockets.
	offers map[snapshot.NSID]bool
}

func (c *collector) collect(ctx context.Context) (*snapshot.Snapshot, error) {
	defer c.release()
	found, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	c.found = found
	c.offers = offering(found)

	engines := make(chan engine.Result, 1)
	if c.engines {
		go func() { engines <- engine.Read(ctx, c.engineOptions(found.Processes)) }()
	} else {
		engines <- engine.Result{}
	}

	c.readAll(ctx, found.Namespaces)
	c.wire(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// An engine never delays the kernel's facts: it has been answering meanwhile, each within its own deadline.
	c.told = <-engines
	c.readPrograms()
	snap := c.assemble()
	snap.Normalize()
	return snap, nil
}

// assemble puts together what was read; it is not normalized.
func (c *collector) assemble() *snapshot.Snapshot {
	snap := &snapshot.Snapshot{Schema: snapshot.Schema, Tool: c.tool, Taken: c.start.UTC().Round(0)}
	snap.Gaps = append(slices.Clone(c.found.Gaps), c.gaps...)
	var hostGaps []snapshot.Gap
	snap.Host, hostGaps = readHost(c.proc)
	snap.Gaps = append(snap.Gaps, hostGaps...)
	snap.Host.InitNS, snap.Host.SelfNS = c.found.Init, c.found.Self

	res := &c.told
	snap.Host.Engines, snap.Workloads, snap.Networks = res.Engines, res.Workloads, res.Networks
	snap.Services, snap.Flannel = res.Services, res.Flannel
	snap.Gaps = append(snap.Gaps, res.Gaps...)

	owners := c.owners()
	for _, s := range c.read {
		if !s.owned {
			fillOwners(s.ns, owners)
		}
		snap.Namespaces = append(snap.Namespaces, *s.ns)
		snap.Gaps = append(snap.Gaps, s.gaps...)
	}
	if !ipvs.Present() {
		snap.Gaps = append(snap.Gaps, balancersWithoutIPVS(snap)...)
	}
	snap.TookMS = time.Since(c.start).Milliseconds()
	return snap
}

func (c *collector) find(ctx context.Context) (*netns.Found, error) {
	if c.selfOnly {
		return netns.FindSelf()
	}
	opts := []netns.Option{netns.WithProc(c.proc)}
	return netns.Find(ctx, opts...)
}

func (c *collector) engineOptions(procs []netns.Process) engine.Options {
	return engine.Options{
		Proc: c.proc, Processes: procs, HostNS: c.found.Init, Endpoints: c.endpoints, Timeout: c.timeout, Etcd: c.etcd,
		Hostname: func(pid int) string {
			name, _ := netns.Hostname(c.proc, pid)
			return name
		},
	}
}

// readAll reads namespaces in parallel.
func (c *collector) readAll(ctx context.Context, spaces []*netns.Namespace) {
	c.pin = mayPin(len(c.read) + len(spaces))
	var mu sync.Mutex
	var done atomic.Int64
	work := make(chan *netns.Namespace)
	var wg sync.WaitGroup
	for range c.workers {
		wg.Go(func() {
			for ns := range work {
				if s := c.readOne(ns); s != nil {
					mu.Lock()
					c.put(ns.ID, s)
					mu.Unlock()
				}
				c.progress(int(done.Add(1)), len(spaces))
			}
		})
	}
	for _, ns := range spaces {
		if ctx.Err() != nil {
			break
		}
		work <- ns
	}
	close(work)
	wg.Wait()
	procnet.Done()
}

// mayPin tells whether n descriptors more may be open, with room for what else is needed.
func mayPin(n int) bool {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return false
	}
	return uint64(n)+256 < lim.Cur
}

// readOne reads one namespace; nil where it vanished meanwhile, which is nothing.
func (c *collector) readOne(found *netns.Namespace) *space {
	s := &space{ns: &snapshot.Namespace{ID: found.ID, Holders: found.Holders}}
	gap := func(reader string, err error, needs string) {
		if needs == "" {
			needs = needsOf(err)
		}
		s.gaps = append(s.gaps, snapshot.Gap{Namespace: found.ID, Reader: reader, Error: err.Error(), Needs: needs})
	}
	h, err := found.Open()
	if err != nil {
		// A mount that is there but cannot be opened is covered by something; else it is gone, which is nothing.
		if netns.Vanished(err) && !found.Mounted(c.proc) {
			return nil
		}
		gap("namespace", shortly(err), "")
		return s
	}
	s.handle = h
	enter := h.Do
	if found.ID == c.found.Self {
		enter = func(f func() error) error { return f() } // we are in it: no capability is needed
	}
	s.ns.OwnerUserNS = h.OwnerUserNS()
	if err := enter(func() error { return c.readInside(s.ns, gap) }); err != nil {
		gap("namespace", shortly(err), "")
	}
	if !c.pin {
		h.Close()
		s.handle = nil
	}
	return s
}

// readInside reads the namespace that the calling thread is in.
func (c *collector) readInside(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) error {
	ns.Cookie = netns.Cookie()
	open := rtnl.Open
	if c.depth == Topology {
		open = rtnl.OpenTopology
	}
	conn, err := open()
	if err != nil {
		return err
	}
	defer conn.Close()
	readNetfilter(ns, gap)
	if ns.IPVS, err = ipvs.Read(); err != nil {
		gap("ipvs", err, "")
	}
	if c.depth == Topology {
		conn.ReadTopology(ns, gap)
		if c.offers[ns.ID] {
			readListeners(ns, gap)
		}
		if c.traffic {
			conn.ReadTraffic(ns, gap)
			c.bpf.Namespace(ns)
		}
		return nil
	}
	conn.Read(ns, gap)
	c.bpf.Namespace(ns)
	if ns.Sysctls, err = procnet.Sysctls(ns.Sysctls); err != nil {
		gap("sysctls", err, "")
	}
	if ns.Counters, err = procnet.Counters(); err != nil {
		gap("counters", err, "")
	}
	diag, err := sockdiag.Open()
	if err != nil {
		gap("sockets", err, "")
		return nil
	}
	defer diag.Close()
	var cut bool
	if ns.Sockets, cut, err = diag.Read(maxSockets); err != nil {
		gap("sockets", err, "")
	}
	if cut {
		gap("sockets", errTooManySockets, "")
	}
	return nil
}

// readNetfilter reads the rules, which the graph needs for what is published. What one missing capability closes is one gap.
func readNetfilter(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	var closed []string
	say := func(reader string, err error, needs string) {
		if errors.Is(err, fs.ErrPermission) {
			closed = append(closed, reader)
			return
		}
		gap(reader, err, needs)
	}
	conn, err := netfilter.Open()
	if err != nil {
		say("nftables", err, "")
	} else {
		defer conn.Close()
		conn.Read(ns, say)
	}
	netfilter.ReadLegacy(ns, say)
	if len(closed) > 0 {
		gap("firewall rules", fmt.Errorf("%s: %w", strings.Join(closed, ", "), fs.ErrPermission), "CAP_NET_ADMIN")
	}
}

// readPrograms reads what cgroups do to packets, and what the programs found so far are called.
func (c *collector) readPrograms() {
	if c.depth == Topology && !c.traffic {
		return
	}
	spaces := make([]*snapshot.Namespace, 0, len(c.read))
	for _, s := range c.read {
		spaces = append(spaces, s.ns)
	}
	c.bpf.Cgroups(c.proc, spaces)
	c.bpf.Names(spaces)
	c.gaps = append(c.gaps, c.bpf.Gaps()...)
}

var errTooManySockets = errors.New("more than 20000 sockets: the rest is left out")

// shortly leaves out of an error what its gap says anyway: which namespace it is about.
func shortly(err error) error {
	var op *netns.OpError
	if !errors.As(err, &op) {
		return err
	}
	verb, ok := map[string]string{"open": "opened", "enter": "entered"}[op.Op]
	if !ok {
		return err
	}
	return &unreachable{verb, op}
}

// unreachable is an error of a gap whose subject is the namespace.
type unreachable struct {
	verb string
	op   *netns.OpError
}

func (e *unreachable) Error() string { return "cannot be " + e.verb + ": " + e.op.Err.Error() }
func (e *unreachable) Unwrap() error { return e.op }

// needsOf says what would have helped, as far as the error tells.
func needsOf(err error) string {
	var op *netns.OpError
	switch {
	case errors.As(err, &op):
		return op.Needs
	case errors.Is(err, fs.ErrPermission):
		return "CAP_NET_ADMIN"
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return "a kernel that has it"
	}
	return ""
}

// put is a namespace as it was read last, in the place of an earlier reading.
func (c *collector) put(id snapshot.NSID, s *space) {
	if old := c.read[id]; old != nil && old.handle != s.handle {
		old.unpin()
	}
	c.read[id] = s
}

// drop forgets a namespace.
func (c *collector) drop(id snapshot.NSID) {
	if s := c.read[id]; s != nil {
		s.unpin()
		delete(c.read, id)
	}
}

// release closes what pinned the namespaces.
func (c *collector) release() {
	for _, s := range c.read {
		s.unpin()
	}
}

func (s *space) unpin() {
	if s.handle != nil {
		s.handle.Close()
		s.handle = nil
	}
}

type owner struct {
	pid  int
	comm string
}

// owners maps a socket's inode to the process that has it.
func (c *collector) owners() map[uint64]owner {
	comm := make(map[int]string, len(c.found.Processes))
	for _, p := range c.found.Processes {
		comm[p.PID] = p.Comm
	}
	out := make(map[uint64]owner, len(c.found.SocketOwners))
	for ino, pid := range c.found.SocketOwners {
		out[ino] = owner{pid, comm[pid]}
	}
	return out
}

func fillOwners(ns *snapshot.Namespace, owners map[uint64]owner) {
	for i := range ns.Sockets {
		if o, ok := owners[ns.Sockets[i].Inode]; ok && ns.Sockets[i].Inode != 0 {
			ns.Sockets[i].PID, ns.Sockets[i].Comm = o.pid, o.comm
		}
	}
}
