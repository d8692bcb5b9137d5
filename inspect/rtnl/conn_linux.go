package rtnl

import (
	"errors"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// maxTries is how often a dump is begun when what it reads changes meanwhile.
const maxTries = 4

// Conn asks one namespace. It is for one goroutine at a time.
type Conn struct {
	route *nlwire.Socket
	// xfrm is nil where the kernel has none, which is no gap; xfrmErr says why it could not be told or opened.
	xfrm    *nlwire.Socket
	xfrmErr error
}

// Open opens the sockets in the calling thread's network namespace; the Conn may then be used from any thread. A kernel
// without xfrm has no IPsec state: that is neither an error nor a gap. One whose xfrm cannot be opened is a gap of Read's.
func Open() (*Conn, error) {
	c, err := OpenTopology()
	if err != nil {
		return nil, err
	}
	present, err := xfrmPresent()
	if present {
		c.xfrm, err = nlwire.Open(unix.NETLINK_XFRM)
	}
	c.xfrmErr = err
	return c, nil
}

// OpenTopology opens what [Conn.ReadTopology] and the nsid methods need, one socket; [Conn.ReadRest] then finds no xfrm.
func OpenTopology() (*Conn, error) {
	s, err := nlwire.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, &Error{"rtnetlink", err}
	}
	return &Conn{route: s}, nil
}

// Close closes the sockets.
func (c *Conn) Close() error {
	err := c.route.Close()
	if c.xfrm != nil {
		err = errors.Join(err, c.xfrm.Close())
	}
	return err
}

// Read fills everything of rtnetlink and xfrm into ns: [Conn.ReadTopology] and [Conn.ReadRest], and the sysctls of each
// interface ("net.ipv4.conf.eth0.rp_filter"), which the link dump brings, into ns.Sysctls, added to what is there.
func (c *Conn) Read(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	if ns.Sysctls == nil {
		ns.Sysctls = make(map[string]string, 128)
	}
	c.readTopology(ns, ns.Sysctls, Topology, gap)
	c.ReadRest(ns, gap)
}

// ReadTopology fills links with addresses and bridge VLANs, routes, rules, neighbours, FDB and nsids into ns. What fails
// is reported to gap, with what would help, and the rest is still read. Lists are sorted and never nil.
//
// [snapshot.Peer.Namespace] and [snapshot.PeerNSID.Namespace] are left empty: who an nsid is, is the caller's to find.
func (c *Conn) ReadTopology(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	c.readTopology(ns, nil, Topology, gap)
}

// ReadParts fills only some parts into ns, as ReadTopology does; what is there of the others stays.
func (c *Conn) ReadParts(ns *snapshot.Namespace, parts Part, gap func(reader string, err error, needs string)) {
	c.readTopology(ns, nil, parts, gap)
}

func (c *Conn) readTopology(ns *snapshot.Namespace, sysctls map[string]string, parts Part, gap func(reader string, err error, needs string)) {
	try := func(reader string, err error) {
		if err != nil {
			gap(reader, &Error{reader, err}, needs(err))
		}
	}
	var err error
	if parts&Links != 0 {
		ns.Links, err = c.links(nil, sysctls)
		try("links", err)
		try("addresses", c.addrs(ns.Links, nil))
		if hasVlanFilter(ns.Links) {
			try("bridge vlans", c.bridgeVlans(ns.Links))
		}
	}
	if parts&Routes != 0 {
		ns.Routes, err = dump(c.route, dumpRoutes, unix.RTM_NEWROUTE, 12, decodeRoute)
		sortRoutes(ns.Routes)
		try("routes", err)
	}
	if parts&Rules != 0 {
		ns.Rules, err = dump(c.route, dumpRules, unix.RTM_NEWRULE, 5, decodeRule)
		sortRules(ns.Rules)
		try("rules", err)
	}
	if parts&Neighbors != 0 {
		ns.Neighbors, err = c.neighbors()
		try("neighbors", err)
	}
	if parts&FDB != 0 {
		ns.FDB, err = dump(c.route, dumpFDB, unix.RTM_NEWNEIGH, 6, decodeFDB)
		sortFDB(ns.FDB)
		try("fdb", err)
	}
	if parts&NSIDs != 0 {
		ns.NSIDs, err = c.nsids()
		try("nsids", err)
	}
}

// ReadRest fills what ReadTopology does not: traffic control, xfrm states and policies.
func (c *Conn) ReadRest(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	c.ReadTraffic(ns, gap)
	ns.Xfrm = snapshot.Xfrm{States: []snapshot.XfrmState{}, Policies: []snapshot.XfrmPolicy{}}
	if c.xfrm == nil {
		if c.xfrmErr != nil {
			gap("xfrm", &Error{"xfrm", c.xfrmErr}, needs(c.xfrmErr))
		}
		return
	}
	var errs [2]error
	var err error
	ns.Xfrm.States, errs[0] = dump(c.xfrm, dumpStates, xfrmNewSA, 0, decodeXfrmState)
	ns.Xfrm.Policies, errs[1] = dump(c.xfrm, dumpPolicies, xfrmNewPolicy, 0, decodeXfrmPolicy)
	sortXfrm(&ns.Xfrm)
	// Where both fail, they do so for one reason.
	err = errs[0]
	if err == nil {
		err = errs[1]
	}
	if err != nil {
		gap("xfrm", &Error{"xfrm", err}, needs(err))
	}
}

// needs says what would let a read succeed that failed with err.
func needs(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "CAP_NET_ADMIN"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return "a kernel with this feature"
	case errors.Is(err, nlwire.ErrInterrupted):
		return "a quieter moment"
	}
	return ""
}

// dump asks with a copy of req and decodes each message of the type want. A dump that was interrupted is begun again a few
// times; what the last one gave is then returned with the error.
//
// A container's namespace has about room entries: growing a list of large structs by doubling it would leave a third of
// all memory unused.
func dump[T any](s *nlwire.Socket, req []byte, want uint16, room int, decode func([]byte, *T) bool) ([]T, error) {
	var scratch [128]byte
	out := make([]T, 0, room)
	for try := 1; ; try++ {
		err := s.Do(append(scratch[:0], req...), func(m nlwire.Message) {
			if m.Type != want {
				return
			}
			var zero T
			out = append(out, zero)
			if !decode(m.Data, &out[len(out)-1]) {
				out = out[:len(out)-1]
			}
		})
		if !errors.Is(err, nlwire.ErrInterrupted) || try == maxTries {
			return out, err
		}
		out = out[:0]
	}
}

// The dumps that need no argument. With strict checking the kernel wants the whole header of each type, zero but for the
// family; AF_UNSPEC is every family at once, except for the FDB.
var (
	dumpLinks     = nlwire.NewRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, ifInfomsgLen))
	dumpAddrs     = nlwire.NewRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, ifAddrmsgLen))
	dumpRoutes    = nlwire.NewRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP, make([]byte, rtmsgLen))
	dumpRules     = nlwire.NewRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP, make([]byte, ruleHdrLen))
	dumpNeighbors = nlwire.NewRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, make([]byte, ndmsgLen))
	dumpProxies   = nlwire.NewRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, []byte{10: ntfProxy, 11: 0})
	dumpFDB       = nlwire.NewRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, []byte{0: afBridge, ndmsgLen - 1: 0})
	dumpNSIDs     = nlwire.NewRequest(unix.RTM_GETNSID, unix.NLM_F_DUMP, make([]byte, rtgenmsgLen))
	dumpQdiscs    = nlwire.NewRequest(unix.RTM_GETQDISC, unix.NLM_F_DUMP, make([]byte, tcmsgLen))
	dumpVlans     = nlwire.AppendU32(
		nlwire.NewRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, []byte{0: afBridge, ifInfomsgLen - 1: 0}),
		iflaExtMask, rtextBrvlanCompressed)
	dumpStates   = nlwire.NewRequest(xfrmGetSA, unix.NLM_F_DUMP, nil)
	dumpPolicies = nlwire.NewRequest(xfrmGetPolicy, unix.NLM_F_DUMP, nil)
)

// links dumps the links of the Conn's namespace, or of that which *target is the nsid of. Their sysctls are added to
// sysctls where that is not nil.
func (c *Conn) links(target *int, sysctls map[string]string) ([]snapshot.Link, error) {
	req := dumpLinks
	if target != nil {
		req = nlwire.AppendU32(append([]byte(nil), req...), iflaTargetNetnsid, uint32(*target))
	}
	decode := decodeLink
	if sysctls != nil {
		decode = func(b []byte, l *snapshot.Link) bool {
			ok := decodeLink(b, l)
			if ok {
				decodeDevconf(b, l.Name, sysctls)
			}
			return ok
		}
	}
	links, err := dump(c.route, req, unix.RTM_NEWLINK, 2, decode)
	sortLinks(links)
	return links, err
}

// owned is an address and whose link it is.
type owned struct {
	index int
	addr  snapshot.Addr
}

// addrs dumps the addresses of all families and gives each to its link.
func (c *Conn) addrs(links []snapshot.Link, target *int) error {
	req := dumpAddrs
	if target != nil {
		req = nlwire.AppendU32(append([]byte(nil), req...), ifaTargetNetnsid, uint32(*target))
	}
	all, err := dump(c.route, req, unix.RTM_NEWADDR, 4, func(b []byte, o *owned) (ok bool) {
		o.index, ok = decodeAddr(b, &o.addr)
		return ok
	})
	for i := range all {
		// A link that is not there was made since the links were dumped.
		if l := findLink(links, all[i].index); l != nil {
			l.Addrs = append(l.Addrs, all[i].addr)
		}
	}
	for i := range links {
		sortAddrs(links[i].Addrs)
	}
	return err
}

// neighbors dumps both tables, and the proxy entries, which the kernel gives apart.
func (c *Conn) neighbors() ([]snapshot.Neighbor, error) {
	out, err := dump(c.route, dumpNeighbors, unix.RTM_NEWNEIGH, 4, decodeNeighbor)
	proxies, err2 := dump(c.route, dumpProxies, unix.RTM_NEWNEIGH, 0, decodeNeighbor)
	out = append(out, proxies...)
	sortNeighbors(out)
	return out, errors.Join(err, err2)
}

func hasVlanFilter(links []snapshot.Link) bool {
	for i := range links {
		if br := links[i].Bridge; br != nil && br.VlanFiltering {
			return true
		}
	}
	return false
}

// bridgeVlans gives each bridge and port its VLANs. Where no bridge filters they mean nothing and are not read.
func (c *Conn) bridgeVlans(links []snapshot.Link) error {
	type membership struct {
		index, master int
		vlans         []snapshot.BridgeVlan
	}
	all, err := dump(c.route, dumpVlans, unix.RTM_NEWLINK, 4, func(b []byte, m *membership) (ok bool) {
		m.index, m.master, m.vlans, ok = decodeBridgeVlans(b)
		return ok
	})
	for _, m := range all {
		l := findLink(links, m.index)
		switch {
		case l == nil || len(m.vlans) == 0:
		case l.Bridge != nil && (m.master == 0 || m.master == m.index):
			l.Bridge.Vlans = m.vlans
		case l.BridgePort != nil:
			l.BridgePort.Vlans = m.vlans
		}
	}
	return err
}

var asked atomic.Uint64

// GetNSIDCount tells how many RTM_GETNSID requests this process has made, dumps included: topology must not cost N² of
// them.
func GetNSIDCount() uint64 { return asked.Load() }

func (c *Conn) nsids() ([]snapshot.PeerNSID, error) {
	asked.Add(1)
	out, err := dump(c.route, dumpNSIDs, unix.RTM_NEWNSID, 1, func(b []byte, p *snapshot.PeerNSID) (ok bool) {
		p.NSID, _, ok = decodeNSID(b)
		return ok
	})
	sortNSIDs(out)
	return out, err
}
