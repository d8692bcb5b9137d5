package netfilter

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/kmod"
	"github.com/nscope/nscope/internal/nlwire"
)

const (
	// maxTries is how often a dump is begun when rules change meanwhile.
	maxTries = 4
	// maxElements is how many elements of a set are read. (An interval is two for the kernel.)
	maxElements = 4096
)

// ErrAbsent tells that the kernel has no nf_tables now: not built in, or as a module that is not loaded.
var ErrAbsent = errors.New("no nftables: the kernel has no nf_tables, or has not loaded it")

// Conn asks one namespace. It is for one goroutine at a time.
type Conn struct {
	sock *nlwire.Socket
	// elems is a socket of its own for elements of sets, whose dumps may be left half-way.
	elems *nlwire.Socket
	limit int
}

// Option changes what is read.
type Option func(*Conn)

// WithElements sets how many elements of a set are read, 0 or less: all of them.
func WithElements(n int) Option {
	return func(c *Conn) {
		if c.limit = n; n <= 0 {
			c.limit = int(^uint(0) >> 1)
		}
	}
}

// Open opens what is needed in the calling thread's network namespace. Where the kernel has no nf_tables it opens nothing, and
// [Conn.Read] says so.
func Open(opts ...Option) (*Conn, error) {
	c := &Conn{limit: maxElements}
	for _, o := range opts {
		o(c)
	}
	if !kmod.MayAsk("nfnetlink") || !kmod.MayAsk("nf_tables") {
		return c, nil
	}
	var err error
	if c.sock, err = nlwire.Open(unix.NETLINK_NETFILTER); err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	return c, nil
}

// Close closes the sockets.
func (c *Conn) Close() error { return errors.Join(c.sock.Close(), c.elems.Close()) }

// Read fills ns.Netfilter with nftables' tables, added to those that are there. It is called on the thread that called [Open],
// in the same namespace: a dump that is cut short costs its socket, and another one is opened. What fails is reported to gap,
// with what would help; what could be read stays.
func (c *Conn) Read(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	if c.sock == nil {
		gap("nftables", ErrAbsent, snapshot.NeedsNfTables)
		return
	}
	needStack(0)
	for try := 1; ; try++ {
		r := ruleset{conn: c, machine: machines.Get().(*machine)}
		err := r.read()
		r.machine.release()
		r.machine = nil
		again := errors.Is(err, nlwire.ErrInterrupted)
		if again && try < maxTries {
			continue
		}
		err = resolveIPSets(r.tables, err)
		ns.Netfilter.Generation = r.generation
		ns.Netfilter.Tables = append(ns.Netfilter.Tables, r.tables...)
		if err != nil {
			gap("nftables", fmt.Errorf("read nftables: %w", err), needs(err))
		}
		return
	}
}

// machines are large, and every namespace needs one for a moment.
var machines = sync.Pool{New: func() any { return new(machine) }}

// release gives a machine back; it forgets what it was given. What its slabs have left serves the next namespace's rules.
func (m *machine) release() {
	clear(m.out[:cap(m.out)])
	clear(m.raw[:cap(m.raw)])
	*m = machine{
		out: m.out[:0], srcs: m.srcs[:0], dead: m.dead[:0], raw: m.raw[:0],
		exprs: m.exprs, conds: m.conds, values: m.values, counts: m.counts,
	}
	machines.Put(m)
}

// needStack has the stack grow to what decoding needs while there is little on it to move: a namespace is mostly read on a goroutine,
// and so a stack, of its own.
//
//go:noinline
func needStack(i int) byte {
	var room [16 << 10]byte
	return room[i]
}

func needs(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "CAP_NET_ADMIN"
	case errors.Is(err, nlwire.ErrInterrupted):
		return "a quieter moment"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT):
		return snapshot.NeedsNfTables
	}
	return ""
}

// ruleset is all of nftables in a namespace while it is read.
type ruleset struct {
	conn       *Conn
	generation uint32
	// half is the lower half of the generation that all messages were made of, if any was seen; mixed: they were of several.
	half        uint16
	seen, mixed bool
	tables      []snapshot.NfTable
	at          map[tableKey]int
	sets        map[tableKey]map[string]*set
	order       []setOf
	use         []chainUse
	total       uint64
	// machine decodes the rules; table and chain are those of the last one, chains and last where it was found.
	machine *machine
	table   tableKey
	chain   *snapshot.NfChain
	chains  []snapshot.NfChain
	last    int
}

// chainUse is how much a chain is used.
type chainUse struct {
	table tableKey
	at    int
	use   uint32
}

type setOf struct {
	table tableKey
	set   *set
}

func (r *ruleset) dump(typ, want uint16, fn func([]byte)) error {
	return r.conn.sock.Do(nlwire.NewRequest(typ, unix.NLM_F_DUMP, make([]byte, nfgenLen)), func(m nlwire.Message) {
		if m.Type == want {
			r.saw(m.Data)
			fn(m.Data)
		}
	})
}

// saw notes the generation that a message was made of: its nfgenmsg has the lower half (nft_base_seq).
func (r *ruleset) saw(b []byte) {
	if len(b) < nfgenLen {
		return
	}
	id := nlwire.BE16(b[2:])
	r.mixed = r.mixed || r.seen && id != r.half
	r.half, r.seen = id, true
}

// gen is the number of the ruleset that the kernel has now: each change is one more.
func (r *ruleset) gen() (n uint32, err error) {
	err = r.conn.sock.Do(nlwire.NewRequest(msgGetGen, 0, make([]byte, nfgenLen)), func(m nlwire.Message) {
		for a := nlwire.WalkAfter(m.Data, nfgenLen); a.Next(); {
			if m.Type == msgNewGen && a.Type == nftaGenId {
				n = nlwire.BE32(a.Val)
			}
		}
	})
	return n, err
}

func (r *ruleset) read() error {
	err := r.readTables()
	if err != nil {
		return err
	}
	// Without a table there is nothing else, which most namespaces' whole answer is: that it was asked, the generation tells.
	if len(r.tables) == 0 {
		r.generation, err = r.gen()
		return err
	}
	for _, f := range []func() error{r.readSets, r.readElems, r.readChains, r.readRules, r.readRest} {
		if err := f(); err != nil {
			return err
		}
	}
	for i := range r.order {
		o := &r.order[i]
		if j, ok := r.at[o.table]; ok {
			r.tables[j].Sets = append(r.tables[j].Sets, *o.set.model)
		}
	}
	if r.generation, err = r.gen(); err == nil && (r.mixed || uint16(r.generation) != r.half) {
		err = nlwire.ErrInterrupted
	}
	return err
}

func (r *ruleset) readTables() error {
	r.tables, r.at = nil, map[tableKey]int{}
	return r.dump(msgGetTable, msgNewTable, func(b []byte) {
		if family, t, ok := decodeTable(b); ok {
			r.at[tableKey{family, t.Name}] = len(r.tables)
			r.tables = append(r.tables, t)
		}
	})
}

func (r *ruleset) readSets() error {
	r.sets = map[tableKey]map[string]*set{}
	return r.dump(msgGetSet, msgNewSet, func(b []byte) {
		key, s, ok := decodeSet(b)
		if !ok {
			return
		}
		if r.sets[key] == nil {
			r.sets[key] = map[string]*set{}
		}
		r.sets[key][s.name] = s
		r.order = append(r.order, setOf{key, s})
	})
}

func (r *ruleset) readElems() error {
	for i := range r.order {
		if err := r.readElemsOf(r.order[i].table, r.order[i].set); err != nil {
			return err
		}
	}
	return nil
}

func (r *ruleset) readElemsOf(table tableKey, s *set) (err error) {
	c := r.conn
	defer s.finish()
	if s.count == 0 && !s.interval {
		return nil
	}
	if c.elems == nil {
		if c.elems, err = nlwire.Open(unix.NETLINK_NETFILTER); err != nil {
			return err
		}
	}
	req := nlwire.NewRequest(msgGetElem, unix.NLM_F_DUMP, []byte{table.family, 0, 0, 0})
	req = nlwire.AppendAttr(req, nftaSetElemListTable, append([]byte(table.name), 0))
	req = nlwire.AppendAttr(req, nftaSetElemListSet, append([]byte(s.name), 0))
	err = c.elems.DoWhile(req, func(m nlwire.Message) bool {
		if m.Type != msgNewElem {
			return true
		}
		r.saw(m.Data)
		return s.decodeElems(m.Data, c.limit)
	})
	if s.model.Cut {
		c.elems.Close()
		c.elems = nil
	}
	if errors.Is(err, unix.ENOENT) {
		return nlwire.ErrInterrupted // it is gone since the sets were read
	}
	return err
}

func (r *ruleset) readChains() error {
	return r.dump(msgGetChain, msgNewChain, func(b []byte) {
		if key, c, use, ok := decodeChain(b); ok {
			if i, ok := r.at[key]; ok {
				r.tables[i].Chains = append(r.tables[i].Chains, c)
				r.use = append(r.use, chainUse{key, len(r.tables[i].Chains) - 1, use})
				r.total += uint64(use)
			}
		}
	})
}

// chainOf is the chain of that name in the table of the last rule, nil for none. Rules come in the order of chains: it is the last one's next,
// or not far.
func (r *ruleset) chainOf(name []byte) *snapshot.NfChain {
	for i := range r.chains {
		at := (r.last + i) % len(r.chains)
		if c := &r.chains[at]; c.Name == string(name) {
			r.last = at
			return c
		}
	}
	return nil
}

// manyRules is how many rules are asked for chain by chain: for each part of a dump the kernel counts all rules before it
// again, so that the time of one dump of all would grow with the square of their number.
const manyRules = 3000

func (r *ruleset) readRules() error {
	if r.total < manyRules {
		for _, u := range r.use {
			if u.use > 0 {
				r.tables[r.at[u.table]].Chains[u.at].Rules = make([]snapshot.NfRule, 0, min(u.use, 32))
			}
		}
		return r.dump(msgGetRule, msgNewRule, r.rule)
	}
	for _, u := range r.use {
		if u.use == 0 {
			continue
		}
		c := &r.tables[r.at[u.table]].Chains[u.at]
		// Not all of it are rules of its own, but a chain is rarely jumped to from everywhere.
		c.Rules = make([]snapshot.NfRule, 0, min(u.use, 64))
		req := nlwire.NewRequest(msgGetRule, unix.NLM_F_DUMP, []byte{u.table.family, 0, 0, 0})
		req = nlwire.AppendAttr(req, nftaRuleTable, append([]byte(u.table.name), 0))
		req = nlwire.AppendAttr(req, nftaRuleChain, append([]byte(c.Name), 0))
		err := r.conn.sock.Do(req, func(m nlwire.Message) {
			if m.Type == msgNewRule {
				r.saw(m.Data)
				r.rule(m.Data)
			}
		})
		c.Rules = slices.Clip(c.Rules)
		if err != nil {
			return err
		}
	}
	return nil
}

// rule adds a rule to its chain.
func (r *ruleset) rule(b []byte) {
	h, ok := decodeRuleHead(b)
	if !ok {
		return
	}
	m := r.machine
	if r.table.family != h.family || r.table.name != string(h.table) || m.sets == nil {
		r.table = tableKey{h.family, string(h.table)}
		m.family, m.fam, m.sets = h.family, familyName(h.family), r.sets[r.table]
		if m.sets == nil {
			m.sets = map[string]*set{}
		}
		r.chain, r.chains, r.last = nil, nil, 0
		if i, ok := r.at[r.table]; ok {
			r.chains = r.tables[i].Chains
		}
	}
	if r.chain == nil || r.chain.Name != string(h.chain) {
		if r.chain = r.chainOf(h.chain); r.chain == nil {
			return
		}
	}
	rule := snapshot.NfRule{Handle: h.handle, Comment: comment(h.udata)}
	rule.Exprs, rule.Unknown = m.rule(h.exprs)
	if rule.Comment == "" {
		rule.Comment = m.comment
	}
	r.chain.Rules = append(r.chain.Rules, rule)
}

// readRest reads objects and flowtables, which kernels before Linux 4.10 and 4.16 do not know.
func (r *ruleset) readRest() error {
	err := r.dump(msgGetObj, msgNewObj, func(b []byte) {
		if key, o, ok := decodeObject(b); ok {
			if i, ok := r.at[key]; ok {
				r.tables[i].Objects = append(r.tables[i].Objects, o)
			}
		}
	})
	if err != nil && !unsupported(err) {
		return err
	}
	err = r.dump(msgGetFlowtable, msgNewFlowtable, func(b []byte) {
		if key, f, ok := decodeFlowtable(b); ok {
			if i, ok := r.at[key]; ok {
				r.tables[i].Flowtables = append(r.tables[i].Flowtables, f)
			}
		}
	})
	if unsupported(err) {
		return nil
	}
	return err
}

func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}
