package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// section is a host, or an engine's node inside one: a home namespace and all that belongs to it.
type section struct {
	name  string // "web1", "web1/node1", "" for what belongs to no host
	home  *topo.Node
	kids  []*section
	netns []*topo.Node // all of it, home included, in the graph's order
	// loose are its containers that run in no namespace of the graph.
	loose []*topo.Node
	// idle are its networks that nothing carries.
	idle []*topo.Node
}

// makeSections returns the top sections in the order of the graph's hosts.
func makeSections(ix *index) []*section {
	byName := map[string]*section{}
	get := func(name string) *section {
		s := byName[name]
		if s == nil {
			s = &section{name: name}
			byName[name] = s
		}
		return s
	}
	for _, h := range ix.g.Hosts {
		get(h.Name)
	}
	ix.each(topo.KindNetns, func(n *topo.Node) {
		s := get(n.Host)
		s.netns = append(s.netns, n)
		if isHome(n) && (s.home == nil || n.Attrs.Role == topo.RoleHost && s.home.Attrs.Role != topo.RoleHost) {
			s.home = n
		}
	})
	ix.each(topo.KindContainer, func(n *topo.Node) {
		if ix.homeOf[n.ID] == nil {
			s := get(n.Host)
			s.loose = append(s.loose, n)
		}
	})
	ix.each(topo.KindNetwork, func(n *topo.Node) {
		if d := n.Attrs.Driver; d == "host" || d == "null" || len(ix.edgesTo(n.ID, topo.EdgeCarries)) > 0 || ix.g.Outside(n) {
			return
		}
		s := get(n.Host)
		s.idle = append(s.idle, n)
	})
	var top []*section
	for name, s := range byName {
		slices.SortStableFunc(s.loose, func(a, b *topo.Node) int { return natural(a.Name, b.Name) })
		if up, _, ok := cutLast(name, "/"); ok && byName[up] != nil && up != "" {
			byName[up].kids = append(byName[up].kids, s)
			continue
		}
		top = append(top, s)
	}
	order := map[string]int{}
	for i, h := range ix.g.Hosts {
		order[h.Name] = i - len(ix.g.Hosts)
	}
	sortSections(top, order)
	return top
}

func sortSections(list []*section, order map[string]int) {
	slices.SortFunc(list, func(a, b *section) int {
		if (a.name == "") != (b.name == "") { // what belongs to no host comes last
			return len(b.name) - len(a.name)
		}
		return cmp.Or(cmp.Compare(order[a.name], order[b.name]), natural(a.name, b.name))
	})
	for _, s := range list {
		sortSections(s.kids, order)
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// walk calls f for the section and all below it.
func (s *section) walk(f func(*section)) {
	f(s)
	for _, k := range s.kids {
		k.walk(f)
	}
}

// isNode tells whether the section is an engine's node inside a host.
func (s *section) isNode() bool {
	return strings.Contains(s.name, "/") || s.home != nil && s.home.Attrs.Role == topo.RoleNode
}

func (s *section) word() string {
	if s.isNode() {
		return "node"
	}
	return "host"
}

// count counts the section's containers and namespaces, without those of the nodes inside it.
func (s *section) count(ix *index) (containers, namespaces int) {
	ix.each(topo.KindContainer, func(c *topo.Node) {
		if c.Host == s.name {
			containers++
		}
	})
	return containers, len(s.netns)
}
