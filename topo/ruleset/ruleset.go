package ruleset

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Priorities of what is no table (include/uapi/linux/netfilter_ipv4.h).
const (
	prioConntrack = -200
	prioNATDst    = -100
	prioNATSrc    = 100
)

// Ruleset is the rules of one namespace, made ready to be evaluated. Chains and sets are compiled when a packet first
// comes to them. It may be used by several goroutines.
type Ruleset struct {
	tables []*table
	mu     sync.Mutex
	hooks  map[At]*hook
}

type table struct {
	src    *snapshot.NfTable
	chains map[string]*chain
	mu     sync.Mutex
	sets   map[string]*set
	// names are the places of sets in src.
	names map[string]int
}

// chain is one chain; compiled on first use.
type chain struct {
	table *table
	src   *snapshot.NfChain
	once  sync.Once
	rules []rule
	index index
}

// hook is what runs at one place, in order.
type hook struct {
	entries []entry
	// tied says that entries have chains of equal priority in an order that the snapshot does not tell.
	tied bool
}

// entry is one function registered at a hook: a base chain, conntrack, or address translation with its chains.
type entry struct {
	priority  int32
	chain     *chain
	conntrack bool
	// translates: the chains are those of nat, if any.
	translates bool
	nat        []*chain
}

// New makes nf ready. It keeps pointers into nf, which must not change while the Ruleset is in use.
func New(nf *snapshot.Netfilter) *Ruleset {
	r := &Ruleset{hooks: map[At]*hook{}}
	for i := range nf.Tables {
		src := &nf.Tables[i]
		t := &table{src: src, chains: make(map[string]*chain, len(src.Chains)), sets: map[string]*set{}, names: make(map[string]int, len(src.Sets))}
		for j := range src.Chains {
			t.chains[src.Chains[j].Name] = &chain{table: t, src: &src.Chains[j]}
		}
		for j := range src.Sets {
			t.names[src.Sets[j].Name] = j
		}
		r.tables = append(r.tables, t)
	}
	return r
}

func (t *table) set(name string) *set {
	i, ok := t.names[strings.TrimPrefix(name, "@")]
	if !ok {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sets[t.src.Sets[i].Name]
	if s == nil {
		s = newSet(&t.src.Sets[i])
		t.sets[t.src.Sets[i].Name] = s
	}
	return s
}

func (c *chain) compile() {
	c.once.Do(func() {
		c.rules = make([]rule, len(c.src.Rules))
		for i := range c.src.Rules {
			c.rules[i].src = &c.src.Rules[i]
		}
		c.index = newIndex(c.src.Rules)
	})
}

func (c *chain) ref(i int) Ref {
	r := Ref{Backend: c.table.src.Backend, Family: c.table.src.Family, Table: c.table.src.Name, Chain: c.src.Name, Rule: i, chain: c}
	if i >= 0 {
		r.Handle = c.src.Rules[i].Handle
	}
	return r
}

// sees tells whether a chain of family stands at a place.
func sees(family string, at At) bool {
	if family == at.Family {
		return true
	}
	return family == "inet" && (at.Family == "ip" || at.Family == "ip6" || at.Family == "netdev" && at.Hook == "ingress")
}

// at is what runs at a place. Of chains of equal priority the one that came last runs first (nf_hook_entries_grow puts
// a new one before those with its priority): within a table that is known, between tables only their handles tell it.
// any tells whether any rule could be asked at a hook.
func (r *Ruleset) any(at At) bool { return len(r.at(at).entries) > 0 }

func (r *Ruleset) at(at At) *hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hooks[at]; h != nil {
		return h
	}
	var plain, nat []*chain
	// Once any chain translates, all four hooks of its family do (nf_nat_register_fn): where they have no chain of their own
	// they settle that nothing is translated.
	translates := false
	for _, t := range r.tables {
		if !sees(t.src.Family, at) || slices.Contains(t.src.Flags, "dormant") {
			continue
		}
		for i := range t.src.Chains {
			c := &t.src.Chains[i]
			translates = translates || c.Type == "nat"
			if c.Hook != at.Hook {
				continue
			}
			if c.Type == "nat" {
				nat = append(nat, t.chains[c.Name])
			} else {
				plain = append(plain, t.chains[c.Name])
			}
		}
	}
	h := &hook{}
	h.tied = sortBase(plain)
	h.tied = sortBase(nat) || h.tied
	ip := at.Family == "ip" || at.Family == "ip6"
	add := func(e entry) {
		// At equal priority conntrack and translation were there before any chain that needs them: they run after.
		i := 0
		for i < len(h.entries) && h.entries[i].priority <= e.priority {
			i++
		}
		h.entries = slices.Insert(h.entries, i, e)
	}
	for _, c := range plain {
		add(entry{priority: c.src.Priority, chain: c})
	}
	if ip && (at.Hook == "prerouting" || at.Hook == "output") {
		add(entry{priority: prioConntrack, conntrack: true})
	}
	if ip && translates && at.Hook != "forward" {
		p := int32(prioNATSrc)
		if at.Hook == "prerouting" || at.Hook == "output" {
			p = prioNATDst
		}
		add(entry{priority: p, translates: true, nat: nat})
	}
	r.hooks[at] = h
	return h
}

// sortBase sorts base chains as they run and tells whether the order of some is not known.
func sortBase(chains []*chain) (tied bool) {
	place := func(c *chain) int {
		return slices.IndexFunc(c.table.src.Chains, func(x snapshot.NfChain) bool { return x.Name == c.src.Name })
	}
	slices.SortStableFunc(chains, func(a, b *chain) int {
		if d := cmp.Compare(a.src.Priority, b.src.Priority); d != 0 {
			return d
		}
		if a.table == b.table {
			return cmp.Compare(place(b), place(a))
		}
		return cmp.Or(cmp.Compare(b.table.src.Handle, a.table.src.Handle), cmp.Compare(a.table.src.Backend, b.table.src.Backend))
	})
	for i := 1; i < len(chains); i++ {
		tied = tied || chains[i].src.Priority == chains[i-1].src.Priority && chains[i].table != chains[i-1].table
	}
	return tied
}

// reversed is the hook with chains of equal priority the other way round.
func (h *hook) reversed() *hook {
	out := &hook{entries: slices.Clone(h.entries)}
	flip(out.entries, func(a, b entry) bool { return a.chain != nil && b.chain != nil && a.priority == b.priority })
	for i := range out.entries {
		out.entries[i].nat = slices.Clone(out.entries[i].nat)
		flip(out.entries[i].nat, func(a, b *chain) bool { return a.src.Priority == b.src.Priority })
	}
	return out
}

// flip turns each run of equals round.
func flip[T any](s []T, equal func(a, b T) bool) {
	for i := 0; i < len(s); {
		j := i + 1
		for j < len(s) && equal(s[i], s[j]) {
			j++
		}
		slices.Reverse(s[i:j])
		i = j
	}
}
