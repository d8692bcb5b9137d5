package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Hit is one answer of [Graph.Find].
type Hit struct {
	// Sentence is the answer, without a full stop.
	Sentence string `json:"sentence"`
	// Node is the thing that was found, Why what of it matched: "interface", "MAC", "address", "VIP", "gateway",
	// "tunnel end", "subnet", "published port", "socket", "VNI", "mark", "pid", "inode", "path", "name" …
	Node *Node  `json:"node"`
	Why  string `json:"why"`
	// Related are other nodes that the sentence names or that belong to it.
	Related []*Node `json:"related"`
}

// finder collects hits.
type finder struct {
	g    *Graph
	hits []Hit
}

func (f *finder) hit(n *Node, why, sentence string, related ...*Node) {
	if n == nil {
		return
	}
	for _, h := range f.hits {
		if h.Node == n && h.Sentence == sentence {
			return
		}
	}
	h := Hit{Sentence: sentence, Node: n, Why: why, Related: []*Node{}}
	for _, r := range related {
		if r != nil && r != n && !slices.Contains(h.Related, r) {
			h.Related = append(h.Related, r)
		}
	}
	f.hits = append(f.hits, h)
}

// Find tells who is behind an interface name, MAC, IP, published port ("8080", "8080/udp", ":8080"), VNI, VIP, firewall
// mark, netns inode or path, pid, container id, or any name. What may be several things (a bare number) is looked for
// as each; a word in front says which is meant: "if:", "mac:", "ip:", "port:", "vni:", "mark:", "pid:", "netns:",
// "path:", "container:", "net:", "service:". Nothing at all is a [*NotFoundError].
func (g *Graph) Find(what string) ([]Hit, error) {
	f := &finder{g: g}
	what = strings.TrimSpace(what)
	kind, val, ok := strings.Cut(what, ":")
	if n, isID := g.Node(what); isID {
		f.things([]*Node{n})
	} else if find := f.kinds()[kind]; ok && find != nil {
		find(val)
	} else {
		f.anything(what)
	}
	if len(f.hits) == 0 {
		return nil, &NotFoundError{Target: what, Near: g.near(what)}
	}
	return f.hits, nil
}

func (f *finder) kinds() map[string]func(string) {
	named := func(kind Kind) func(string) {
		return func(val string) { f.things(f.g.lookupNamed(kind, val, nil)) }
	}
	return map[string]func(string){
		"if": f.iface, "link": f.iface, "mac": func(s string) { f.mac(s) }, "ip": func(s string) { f.ip(s) },
		"port": func(s string) { f.port(s) }, "vni": f.vni, "mark": f.mark, "pid": f.pid, "netns": f.netns, "net": func(s string) {
			if in, ok := strings.CutPrefix(s, "["); ok { // net:[4026532184], as /proc/<pid>/ns/net reads
				f.netns(strings.TrimSuffix(in, "]"))
				return
			}
			f.things(f.g.lookupNamed(KindNetwork, s, nil))
		},
		"path": f.path, "container": named(KindContainer), "network": named(KindNetwork), "service": named(KindService),
		"vtep": func(s string) { f.things(f.g.lookupExplicit("vtep", s, nil)) },
	}
}

// anything looks for whatever a word without a kind may be.
func (f *finder) anything(what string) {
	if f.mac(what) || f.ip(what) {
		return
	}
	if strings.HasPrefix(what, "/") {
		f.path(what)
		if len(f.hits) > 0 {
			return
		}
	}
	x := f.g.names()
	f.things(x.exact[what])
	f.things(x.alias[what])
	if what == "host" || what == "self" {
		f.things(f.g.lookup(what, nil))
	}
	f.iface(what)
	f.port(what)
	if _, err := strconv.ParseUint(what, 10, 64); err == nil {
		f.vni(what)
		f.mark(what)
		f.netns(what)
		f.pid(what)
	} else if strings.HasPrefix(what, "0x") {
		f.mark(what)
	}
	if len(f.hits) > 0 {
		return
	}
	if n, err := f.g.Resolve(what); err == nil {
		f.things([]*Node{n})
		return
	}
	f.things(prefixed(x.all, what, nil, "")) // several: each is an answer
}

// things are hits for what was found by its name or id.
func (f *finder) things(found []*Node) {
	for _, n := range found {
		ns, _ := f.g.Netns(n)
		switch n.Kind {
		case KindContainer:
			f.hit(n, "name", f.g.containerSentence(n), ns)
		case KindNetwork:
			related := f.g.Members(n)
			for _, e := range f.g.In(n.ID, EdgeCarries) {
				c, _ := f.g.Node(e.From)
				related = append([]*Node{c}, related...)
			}
			f.hit(n, "name", f.g.networkSentence(n), related...)
		case KindService:
			f.hit(n, "name", f.g.serviceSentence(n), f.g.Members(n)...)
		case KindLink:
			f.link(n, "interface", f.g.linkSentence(n))
		case KindVTEP:
			f.vtep(n)
		case KindNetns:
			f.hit(n, "name", f.g.netnsSentence(n), f.g.runner(n))
		}
	}
}

// link is a hit on a link, related to what it is wired to.
func (f *finder) link(l *Node, why, sentence string) {
	ns, _ := f.g.Netns(l)
	related := []*Node{ns, f.g.Peer(l), f.g.Master(l), f.g.first(l, EdgeParent)}
	if ns != nil {
		related = append(related, f.g.runner(ns))
	}
	if p := f.g.Peer(l); p != nil {
		if ns, ok := f.g.Netns(p); ok {
			related = append(related, ns, f.g.runner(ns))
		}
	}
	f.hit(l, why, sentence, related...)
}

func (f *finder) iface(name string) {
	found := f.g.names().links[name]
	if len(found) == 0 && strings.Contains(name, "/") {
		found = f.g.lookupLink(name, nil)
	}
	for i := range f.g.Nodes { // by other names
		n := &f.g.Nodes[i]
		if l := f.g.Link(n); n.Kind == KindLink && l != nil && slices.Contains(l.AltNames, name) {
			found = append(slices.Clone(found), n)
		}
	}
	for _, l := range found {
		f.link(l, "interface", f.g.linkSentence(l))
	}
}

func (f *finder) netns(val string) {
	for _, n := range f.g.lookupNetns(val, nil) {
		f.hit(n, "inode", f.g.netnsSentence(n), f.g.runner(n))
	}
}

func (f *finder) path(val string) {
	for _, n := range f.g.lookupPath(val, nil) {
		f.hit(n, "path", path.Clean(val)+" is netns "+shortOf(n)+", "+f.g.netnsWhat(n), f.g.runner(n))
	}
	f.things(filter(f.g.names().exact[val], nil)) // a name may hold slashes
	for i := range f.g.Nodes {
		if n := &f.g.Nodes[i]; n.Kind == KindContainer && n.Attrs.Sandbox != "" && sameRun(n.Attrs.Sandbox, val) {
			f.hit(n, "path", f.g.containerSentence(n))
		}
	}
}

func (f *finder) pid(val string) {
	pid, err := strconv.Atoi(val)
	if err != nil {
		return
	}
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		if n.Kind != KindNetns || !f.g.holds(n, pid) {
			continue
		}
		comm := ""
		for _, h := range n.Attrs.Holders {
			if rest, ok := strings.CutPrefix(h, fmt.Sprintf("proc %d ", pid)); ok {
				comm = rest
			}
		}
		s := fmt.Sprintf("process %d%s runs in %s", pid, paren(comm), f.g.netnsPhrase(n))
		if n.Name != shortOf(n) {
			s += ", netns " + shortOf(n)
		}
		var main *Node
		for _, e := range f.g.In(n.ID, EdgeRunsIn) {
			if c, ok := f.g.Node(e.From); ok && c.Attrs.PID == pid {
				main = c
				s = fmt.Sprintf("process %d%s is the first of %s, in netns %s", pid, paren(comm), f.g.containerPhrase(c), shortOf(n))
			}
		}
		if main != nil {
			f.hit(main, "pid", s, n)
			continue
		}
		f.hit(n, "pid", s, f.g.runner(n))
	}
}

func (f *finder) mark(val string) {
	m, err := strconv.ParseUint(val, 0, 32)
	if err != nil || m == 0 {
		return
	}
	for i := range f.g.Nodes {
		if n := &f.g.Nodes[i]; n.Kind == KindService && uint64(n.Attrs.Mark) == m &&
			!slices.ContainsFunc(f.g.In(n.ID, EdgeBalances), func(e *Edge) bool { return uint64(e.Attrs.Mark) == m }) {
			f.hit(n, "mark", fmt.Sprintf("0x%x (%d) is the firewall mark of service %s", m, m, n.Name), f.g.Members(n)...)
		}
	}
	f.marked(uint32(m))
}

func (f *finder) vni(val string) {
	v, err := strconv.ParseUint(val, 10, 24)
	if err != nil {
		return
	}
	told := map[string]bool{} // links that a network's sentence names already
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		if n.Kind != KindNetwork || !slices.Contains(n.Attrs.VNIs, uint32(v)) {
			continue
		}
		var related []*Node
		for _, e := range f.g.In(n.ID, EdgeCarries) {
			for _, l := range f.g.In(e.From, EdgeIn) {
				if ln, ok := f.g.Node(l.From); ok && ln.Attrs.Type == "vxlan" && ln.Attrs.VNI == uint32(v) {
					told[ln.ID] = true
					related = append(related, ln)
				}
			}
		}
		f.hit(n, "VNI", fmt.Sprintf("VNI %d is that of %s, %s", v, n.Name, f.g.networkWhat(n)), related...)
	}
	for i := range f.g.Nodes {
		if n := &f.g.Nodes[i]; n.Kind == KindLink && v != 0 && n.Attrs.VNI == uint32(v) && !told[n.ID] {
			f.link(n, "VNI", f.g.linkSentence(n))
		}
	}
}

// port looks for who published a port, and who listens on it where nobody did.
func (f *finder) port(val string) bool {
	val, proto, _ := strings.Cut(strings.ToLower(val), "/")
	var addr netip.Addr
	if ap, err := netip.ParseAddrPort(val); err == nil {
		addr, val = ap.Addr(), strconv.Itoa(int(ap.Port()))
	}
	p, err := strconv.ParseUint(strings.TrimPrefix(val, ":"), 10, 16)
	if err != nil || p == 0 || proto != "" && proto != "tcp" && proto != "udp" && proto != "sctp" {
		return false
	}
	told := map[string]bool{} // "<netns> <proto>" of which it is said who published there
	for i := range f.g.Edges {
		e := &f.g.Edges[i]
		if e.Kind != EdgePublishes || p < uint64(e.Attrs.HostPort) || p > uint64(max(e.Attrs.HostPort, e.Attrs.HostPortTo)) || proto != "" && e.Attrs.Proto != proto || !portAt(e, addr) {
			continue
		}
		from, ok1 := f.g.Node(e.From)
		to, ok2 := f.g.Node(e.To)
		if ok1 && ok2 && f.hasAddr(to, addr) {
			told[e.To+" "+e.Attrs.Proto] = true
			f.published(e, from, to)
		}
	}
	for _, n := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindNetns && f.hasAddr(n, addr) }) {
		f.listens(n, uint16(p), proto, addr, told)
	}
	return true
}

// hasAddr reports whether an address, where one is given, is of a namespace.
func (f *finder) hasAddr(ns *Node, a netip.Addr) bool {
	if !a.IsValid() || a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	for _, l := range f.g.linksIn(ns) {
		for _, s := range l.Attrs.Addrs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Addr() == a {
				return true
			}
		}
	}
	return false
}

func portAt(e *Edge, addr netip.Addr) bool {
	if !addr.IsValid() || e.Attrs.HostAddr == "" {
		return true
	}
	at, err := netip.ParseAddr(e.Attrs.HostAddr)
	return err == nil && (at == addr || at.IsUnspecified() && at.Is4() == addr.Is4())
}

func (f *finder) published(e *Edge, from, to *Node) {
	a := &e.Attrs
	where := f.g.netnsPhrase(to)
	if strings.Trim(a.HostAddr, "0.:") != "" {
		where += " at " + a.HostAddr
	}
	port := strconv.Itoa(int(a.HostPort))
	if a.HostPortTo != 0 {
		port += "-" + strconv.Itoa(int(a.HostPortTo))
	}
	what := fmt.Sprintf("%s %s", from.Kind, f.g.shortName(from))
	if from.Kind == KindNetns {
		what = f.g.netnsPhrase(from)
	}
	s := fmt.Sprintf("port %s/%s of %s is published by %s for its port %d", port, a.Proto, where, what, a.TargetPort)
	if by := f.publishedHow(e); by != "" {
		s += ", " + by
	}
	switch {
	case a.Source == SourceEngine && a.Note != "":
		s += fmt.Sprintf(", claims %s: %s", cmp.Or(from.Attrs.Engine, "the engine"), a.Note)
	case a.Source == SourceEngine && from.Attrs.Engine != "":
		s += ", says " + from.Attrs.Engine
	case a.Note != "":
		s += ": " + a.Note
	}
	if may, why := f.g.Hairpin(e); may != "" {
		s += "; " + hairpinWords(f.g.shortName(from), may, why)
	}
	var related []*Node
	if from.Kind == KindService {
		related = f.g.Members(from)
	}
	f.hit(from, "published port", s, append([]*Node{to}, related...)...)
}

// listens adds the sockets of one namespace on a port that nobody published there.
func (f *finder) listens(n *Node, port uint16, proto string, addr netip.Addr, told map[string]bool) {
	ns := f.g.Namespace(n)
	if ns == nil {
		return
	}
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		at := s.Local.Addr()
		if s.Local.Port() != port || s.Remote.Port() != 0 || proto != "" && s.Proto != proto || s.Proto == "tcp" && s.State != "listen" ||
			told[n.ID+" "+s.Proto] || s.Proto != "tcp" && s.Proto != "udp" && s.Proto != "sctp" ||
			addr.IsValid() && at != addr && !at.IsUnspecified() {
			continue
		}
		who := "the kernel"
		if s.Comm != "" {
			who = fmt.Sprintf("%s (pid %d)", s.Comm, s.PID)
		}
		text := fmt.Sprintf("%s listens on %s port %d in %s", who, s.Proto, port, f.g.netnsPhrase(n))
		if at.Unmap() == embeddedDNS && slices.ContainsFunc(f.g.NameServer(n), func(l string) bool { return strings.Contains(l, " to "+s.Local.String()+",") }) {
			text += fmt.Sprintf(", where the rules there lead %s:53", embeddedDNS)
		}
		f.hit(n, "socket", text, f.g.runner(n))
	}
}
