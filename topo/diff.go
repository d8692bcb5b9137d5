package topo

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// ChangeOp says what became of a thing.
type ChangeOp string

// What may become of a thing.
const (
	Added   ChangeOp = "added"
	Removed ChangeOp = "removed"
	Changed ChangeOp = "changed"
)

// ChangeKind is the kind of thing that changed.
type ChangeKind string

// The kinds of changes, in the order in which they are told.
const (
	ChangeHost      ChangeKind = "host" // kernel, operating system, a reboot
	ChangeEngine    ChangeKind = "engine"
	ChangeNetwork   ChangeKind = "network"
	ChangeService   ChangeKind = "service"
	ChangeContainer ChangeKind = "container"
	ChangeFlannel   ChangeKind = "flannel"
	ChangeNetns     ChangeKind = "netns"
	ChangeLink      ChangeKind = "link"
	ChangeAddress   ChangeKind = "address"
	ChangeRoute     ChangeKind = "route"
	ChangeRule      ChangeKind = "rule" // of policy routing
	ChangeNeighbor  ChangeKind = "neighbor"
	ChangeFDB       ChangeKind = "fdb"
	ChangeFirewall  ChangeKind = "firewall" // tables, chains, rules and sets of nftables and iptables
	ChangeIPVS      ChangeKind = "ipvs"
	ChangeListener  ChangeKind = "listener" // a TCP port that somebody listens on
	ChangeSysctl    ChangeKind = "sysctl"
	ChangeXfrm      ChangeKind = "xfrm"
	ChangeTC        ChangeKind = "tc"
	ChangeGap       ChangeKind = "gap" // what could not be read, or could again
)

// ChangeKinds are all kinds, in the order in which they are told.
var ChangeKinds = []ChangeKind{
	ChangeHost, ChangeEngine, ChangeNetwork, ChangeService, ChangeContainer, ChangeFlannel, ChangeNetns, ChangeLink, ChangeAddress, ChangeRoute, ChangeRule,
	ChangeNeighbor, ChangeFDB, ChangeFirewall, ChangeIPVS, ChangeListener, ChangeSysctl, ChangeXfrm, ChangeTC, ChangeGap,
}

// Change is one difference between two graphs.
type Change struct {
	Op   ChangeOp   `json:"op"`   // added, removed or changed
	Kind ChangeKind `json:"kind"` // what kind of thing it is: see below
	// Node is the node that it is of: the link of an address, the namespace of a route. It is one of the older graph where the
	// thing was removed, else of the newer. Empty where no node stands for it.
	Node string `json:"node,omitempty"`
	// Netns is the node of the namespace in which it is.
	Netns string `json:"netns,omitempty"`
	Host  string `json:"host"` // the host's name
	// Place is the name of that namespace.
	Place string `json:"place,omitempty"`
	// What names the thing: "address 10.0.0.2/24 on eth0". Detail is what it is like, or for a changed one what became of it.
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
	// Fields are those that changed.
	Fields []FieldChange `json:"fields,omitempty"`
	// Follows marks the mere consequence of another change: the kernel's routes of an address that came, the addresses of a
	// link that went.
	Follows bool `json:"follows,omitempty"`

	rank int    // of the place
	key  string // of the fact
}

// FieldChange is one field of a thing that changed; Old or New is empty where it has none.
type FieldChange struct {
	Name string `json:"name"` // as in the snapshot
	Old  string `json:"old"`  // what it was
	New  string `json:"new"`  // what it is
}

// String is the change as one sentence: "web: link eth0 changed: mtu 1500 → 1450".
func (c *Change) String() string {
	s := c.What + " " + string(c.Op)
	if c.Place != "" {
		s = c.Place + ": " + s
	}
	if c.Detail != "" {
		s += ": " + c.Detail
	}
	return s
}

// Diff tells what is different in b, the newer graph, from a. Both are made by [Build]. Counters, ages and the timers of
// neighbours are no changes. The order is always the same: by host, place and kind.
//
// On one kernel (the same boot id) namespaces are told apart by inode and cookie, links by ifindex. Where that does not pair a
// namespace, as after a reboot or when a container was started anew, its name does, and then the names of its links.
// What one of the two could not read (a gap of it says so) is not compared.
func Diff(a, b *Graph) []Change {
	d := &differ{a: newSide(a), b: newSide(b)}
	d.hosts()
	d.engines()
	d.spaces()
	d.gaps()
	slices.SortStableFunc(d.out, func(x, y Change) int {
		return cmp.Or(strings.Compare(x.Host, y.Host), cmp.Compare(x.rank, y.rank), strings.Compare(x.Place, y.Place), strings.Compare(x.Netns, y.Netns),
			cmp.Compare(slices.Index(ChangeKinds, x.Kind), slices.Index(ChangeKinds, y.Kind)))
	})
	if d.out == nil {
		d.out = []Change{}
	}
	return d.out
}

// differ collects changes. While one pair of namespaces is compared, at is where.
type differ struct {
	a, b *graphSide
	out  []Change
	at   where
}

// graphSide is one of the two graphs.
type graphSide struct {
	g *Graph
	// closed are the readers that failed, by namespace node; "" for the host as a whole.
	closed map[string]map[string]bool
}

func newSide(g *Graph) *graphSide {
	s := &graphSide{g: g, closed: map[string]map[string]bool{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != KindNetns {
			continue
		}
		r := g.index().raw[n.ID]
		if r.sp == nil || r.sp.src == nil {
			continue
		}
		for j := range r.sp.src.snap.Gaps {
			gp := &r.sp.src.snap.Gaps[j]
			// A kernel without nf_tables has no rules: that is known, whatever else is not.
			if gp.Namespace != r.sp.ns.ID || lacksNfTables(gp) && !r.sp.hidesRules(gp) {
				continue
			}
			if s.closed[n.ID] == nil {
				s.closed[n.ID] = map[string]bool{}
			}
			s.closed[n.ID][gp.Reader] = true
		}
	}
	return s
}

// where is the place of what is compared.
type where struct {
	node, netns, host, name string
	rank                    int
}

// fact is one thing of a list: key tells it from the others, attrs are what may change of it.
type fact struct {
	key, what string
	node      string
	host      string // where that is not the place's
	attrs     []attr
	follows   func(op ChangeOp) bool // nil: never
}

// attr is one property. Two are the same where cmp (or where that is empty, text) is; an empty text is none. A
// quiet one is told only where it changed.
type attr struct {
	name, text, cmp string
	quiet           bool
}

func (t attr) same(o attr) bool { return cmp.Or(t.cmp, t.text) == cmp.Or(o.cmp, o.text) }

// compare tells the differences between two lists of one kind.
func (d *differ) compare(kind ChangeKind, a, b []fact) {
	number(a)
	number(b)
	at := make(map[string]*fact, len(b))
	for i := range b {
		at[b[i].key] = &b[i]
	}
	old := make(map[string]bool, len(a))
	for i := range a {
		x := &a[i]
		old[x.key] = true
		y := at[x.key]
		if y == nil {
			d.add(kind, Removed, x, nil)
			continue
		}
		if fields := fieldChanges(x.attrs, y.attrs); len(fields) > 0 {
			d.add(kind, Changed, y, fields)
		}
	}
	for i := range b {
		if !old[b[i].key] {
			d.add(kind, Added, &b[i], nil)
		}
	}
}

// number makes keys unique: of several alike the first is the first.
func number(list []fact) {
	seen := make(map[string]int, len(list))
	for i := range list {
		k := list[i].key
		if n := seen[k]; n > 0 {
			list[i].key += "#" + strings.Repeat("i", n)
		}
		seen[k]++
	}
}

func (d *differ) add(kind ChangeKind, op ChangeOp, f *fact, fields []FieldChange) {
	c := Change{Op: op, Kind: kind, Node: cmp.Or(f.node, d.at.node), Netns: d.at.netns, Host: cmp.Or(f.host, d.at.host), Place: d.at.name, rank: d.at.rank, key: f.key, What: f.what, Fields: fields}
	var words []string
	if op == Changed {
		for _, x := range fields {
			words = append(words, x.text())
		}
	} else {
		for _, t := range f.attrs {
			if t.text != "" && !t.quiet {
				words = append(words, attrText(t))
			}
		}
	}
	c.Detail = strings.Join(words, ", ")
	c.Follows = f.follows != nil && f.follows(op)
	d.out = append(d.out, c)
}

func attrText(t attr) string {
	if t.name == "" {
		return t.text
	}
	return t.name + " " + t.text
}

func (f *FieldChange) text() string {
	switch {
	case f.Old == "":
		return "now " + attrText(attr{name: f.Name, text: f.New})
	case f.New == "":
		return "no longer " + attrText(attr{name: f.Name, text: f.Old})
	}
	return attrText(attr{name: f.Name, text: f.Old + " → " + f.New})
}

// fieldChanges compares what two things are like; attrs of a list that may repeat carry different names.
func fieldChanges(a, b []attr) []FieldChange {
	var out []FieldChange
	find := func(list []attr, name string) (attr, bool) {
		i := slices.IndexFunc(list, func(t attr) bool { return t.name == name })
		if i < 0 {
			return attr{}, false
		}
		return list[i], true
	}
	for _, x := range a {
		y, _ := find(b, x.name)
		if !x.same(y) {
			f := FieldChange{Name: x.name, Old: x.text, New: y.text}
			if x.text == y.text {
				f.New += " (another)"
			}
			out = append(out, f)
		}
	}
	for _, y := range b {
		if _, ok := find(a, y.name); !ok && y.text != "" {
			out = append(out, FieldChange{Name: y.name, New: y.text})
		}
	}
	return out
}

// sameList tells whether two slices are one in memory, as those of a namespace that was not read again are.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameMap tells so of two maps.
func sameMap(a, b map[string]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
