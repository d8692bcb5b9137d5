package topo

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Build makes the graph of one or several snapshots. It changes none of them, and the same snapshots in whatever
// order, with their lists in whatever order, give the same graph. The graph keeps the snapshots: they must not be
// changed as long as it is used.
func Build(snaps ...*snapshot.Snapshot) *Graph {
	b := &builder{
		g:      &Graph{Schema: Schema, Hosts: []GraphHost{}, Nodes: []Node{}, Edges: []Edge{}, Gaps: []Gap{}},
		spaces: map[string]*space{},
		views:  map[*space][]sighting{},
		raw:    map[string]raw{},
		found:  map[*space]*foundRules{},
	}
	b.gather(snaps)
	b.nest()
	b.hosts()
	b.places()
	b.holders()
	b.collectWork()
	b.owners()
	b.collectNetworks()
	b.roles()

	b.addSpaces()
	b.addLinks()
	b.veths()
	b.addNetworks()
	b.ingressNetworks() // needs the veths
	b.addWork()
	b.underlays()
	b.carries()
	b.tunnels()
	b.services()
	b.virtuals()
	b.nameSpaces()
	return b.finish()
}

// builder holds what is known while a graph is built.
type builder struct {
	g       *Graph
	nodes   []*Node // as pointers: they are large, and sorted once
	edges   []*Edge
	sources []*source // oldest first
	kernels []*kernel
	spaces  map[string]*space // by node id
	views   map[*space][]sighting
	work    []*work
	nets    []*netw
	netIdx  map[netKey]*netw
	svcs    []*svc
	pairs   map[*link]*link // the proven veth pairs, both ways
	parents map[*link]*link
	overIn  map[*link]*space  // tunnel → the namespace that carries it, where proven
	carried map[*link][]*netw // networks that a link carries
	raw     map[string]raw
	svcIdx  map[string]*svc
	virts   []*virtual
	found   map[*space]*foundRules

	dockerDirs map[string]bool // directories of netns files beside …/docker/netns
	gaps       []pendingGap
}

// raw is the data behind a node.
type raw struct {
	src  *source
	sp   *space
	link *link
	work *work
	net  *netw
	svc  *svc
	virt *virtual
}

// allSpaces are the namespaces of all kernels, sorted within each.
func (b *builder) allSpaces() []*space {
	if len(b.kernels) == 1 {
		return b.kernels[0].order
	}
	var all []*space
	for _, k := range b.kernels {
		all = append(all, k.order...)
	}
	return all
}

// gap notes a relation that could not be proven.
func (b *builder) gap(s *source, ns snapshot.NSID, reader, text, needs string) {
	b.gaps = append(b.gaps, pendingGap{s, snapshot.Gap{Namespace: ns, Reader: reader, Error: text, Needs: needs}})
}

func (b *builder) node(n Node, r raw) {
	b.nodes = append(b.nodes, &n)
	b.raw[n.ID] = r
}

func (b *builder) edge(kind EdgeKind, from, to string, a EdgeAttrs) {
	b.edges = append(b.edges, &Edge{Kind: kind, From: from, To: to, Attrs: a})
}

// finish sorts everything and makes the index.
func (b *builder) finish() *Graph {
	g := b.g
	slices.SortFunc(b.nodes, func(x, y *Node) int { return strings.Compare(x.ID, y.ID) })
	g.Nodes = make([]Node, len(b.nodes))
	for i, n := range b.nodes {
		g.Nodes[i] = *n
	}
	b.takeEdges()
	g.ix = newIndex(g)
	g.ix.raw, g.ix.sources = b.raw, b.sources
	// What follows packets needs the wires.
	b.backends()
	b.virtualBackends()
	b.publishes()
	b.takeEdges()
	g.ix.indexEdges(g)
	g.portsByRule()
	b.foldGaps()
	return g
}

// takeEdges sorts the edges into the graph.
func (b *builder) takeEdges() {
	slices.SortFunc(b.edges, compareEdges)
	b.edges = slices.CompactFunc(b.edges, func(x, y *Edge) bool { return compareEdges(x, y) == 0 })
	b.g.Edges = make([]Edge, len(b.edges))
	for i, e := range b.edges {
		b.g.Edges[i] = *e
	}
}

func compareEdges(x, y *Edge) int {
	a, c := &x.Attrs, &y.Attrs
	return cmp.Or(strings.Compare(string(x.Kind), string(y.Kind)), strings.Compare(x.From, y.From), strings.Compare(x.To, y.To),
		strings.Compare(a.Network, c.Network), strings.Compare(a.Address, c.Address), strings.Compare(a.Proto, c.Proto),
		strings.Compare(a.HostAddr, c.HostAddr), cmp.Compare(a.HostPort, c.HostPort), cmp.Compare(a.TargetPort, c.TargetPort),
		cmp.Compare(a.VNI, c.VNI), cmp.Compare(a.Port, c.Port), strings.Compare(a.By, c.By), strings.Compare(a.Source, c.Source),
		slices.Compare(a.MACs, c.MACs), cmp.Compare(a.Weight, c.Weight), cmp.Compare(a.Mark, c.Mark), strings.Compare(a.State, c.State),
		cmp.Compare(a.HostPortTo, c.HostPortTo), slices.Compare(a.From, c.From), strings.Compare(a.Rule, c.Rule), cmp.Compare(a.ProxyPID, c.ProxyPID),
		strings.Compare(a.Note, c.Note), strings.Compare(a.Scheduler, c.Scheduler), cmp.Compare(a.Share, c.Share))
}

// foldGaps takes over the snapshots' gaps and adds the graph's own, equal ones folded into one with a count.
func (b *builder) foldGaps() {
	for _, s := range b.sources {
		for _, gp := range s.snap.Gaps {
			b.gaps = append(b.gaps, pendingGap{s, gp})
		}
	}
	at := map[Gap]int{}
	for _, p := range b.gaps {
		gp := Gap{Host: p.src.place, Gap: p.Gap}
		n := max(gp.Count, 1)
		gp.Count = 0
		at[gp] += n
	}
	for gp, n := range at {
		if n > 1 {
			gp.Count = n
		}
		b.g.Gaps = append(b.g.Gaps, gp)
	}
	slices.SortFunc(b.g.Gaps, func(x, y Gap) int {
		return cmp.Or(strings.Compare(x.Host, y.Host), strings.Compare(string(x.Namespace), string(y.Namespace)),
			strings.Compare(x.Reader, y.Reader), strings.Compare(x.Error, y.Error), strings.Compare(x.Needs, y.Needs))
	})
}

// pendingGap is a gap whose host is not named yet.
type pendingGap struct {
	src *source
	snapshot.Gap
}
