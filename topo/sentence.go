package topo

import (
	"cmp"
	"fmt"
	"strings"
)

// many reports whether the graph has more than one place, so that a sentence must say which is meant.
func (g *Graph) many() bool { return len(g.names().places) > 2 } // "" and the one host

// on is " on node1" where that is needed.
func (g *Graph) on(n *Node) string {
	if n.Host == "" || !g.many() {
		return ""
	}
	return " on " + n.Host
}

// netnsPhrase names a namespace in a sentence: "the host netns", "the netns of container web".
func (g *Graph) netnsPhrase(n *Node) string {
	of := ""
	if n.Attrs.Network != "" {
		of = " of network " + n.Attrs.Network
	}
	switch n.Attrs.Role {
	case RoleHost:
		if g.many() {
			return "the host netns of " + n.Host
		}
		return "the host netns"
	case RoleNode:
		return "the netns of node " + n.Name
	case RoleOverlay:
		return "the overlay netns " + n.Name + of + g.on(n)
	case RoleLoadBalancer:
		return "the load-balancer netns " + n.Name + of + g.on(n)
	case RoleIngress:
		return "the ingress netns " + n.Name + g.on(n)
	}
	if c := g.runner(n); c != nil {
		return "the netns of " + g.containerPhrase(c)
	}
	return "the netns " + n.Name + g.on(n)
}

// runner is the container after which a namespace is called, nil for none.
func (g *Graph) runner(n *Node) *Node {
	var first *Node
	for _, e := range g.In(n.ID, EdgeRunsIn) {
		c, ok := g.Node(e.From)
		if !ok {
			continue
		}
		if c.Name == n.Name || first == nil {
			first = c
		}
		for _, a := range g.aliases(c) {
			if a == n.Name {
				return c
			}
		}
	}
	return first
}

func (g *Graph) containerPhrase(c *Node) string {
	return "container " + g.shortName(c) + g.on(c)
}

// shortName is what a sentence calls a node: a swarm task's container "web.2", without the task's id.
func (g *Graph) shortName(n *Node) string {
	if n.Kind == KindContainer {
		if a, ok := g.taskName(n); ok {
			return a
		}
	}
	return n.Name
}

// linkPhrase names a link in a sentence: "eth0 of container web", "veth1a2b in the host netns".
func (g *Graph) linkPhrase(l *Node) string {
	ns, ok := g.Netns(l)
	if !ok {
		return l.Name
	}
	if c := g.holderOf(ns); c != nil {
		return l.Name + " of " + g.containerPhrase(c)
	}
	return l.Name + " in " + g.netnsPhrase(ns)
}

// holderOf is the container that has a namespace of its own, nil for a host's or a node's.
func (g *Graph) holderOf(ns *Node) *Node {
	if ns.Attrs.Role != RoleContainer {
		return nil
	}
	return g.runner(ns)
}

// networkPhrase is "docker bridge backend".
func networkPhrase(n *Node) string {
	s := n.Attrs.Engine
	if n.Attrs.Driver != "" && n.Attrs.Driver != n.Name {
		s += " " + n.Attrs.Driver
	}
	return s + " " + n.Name
}

// carriedBy are the networks that a link, or the namespace that it is in, carries.
func (g *Graph) carriedBy(l *Node) (out []*Node) {
	ids := g.Out(l.ID, EdgeCarries)
	if len(ids) == 0 {
		ids = g.Out(l.Attrs.Netns, EdgeCarries)
	}
	for _, e := range ids {
		if n, ok := g.Node(e.To); ok {
			out = append(out, n)
		}
	}
	return out
}

// hangsOn is what a veth's outer end is part of: "docker bridge backend, port of br-0123456789ab".
func (g *Graph) hangsOn(l *Node) string {
	m := g.Master(l)
	if m == nil {
		return ""
	}
	var parts []string
	for _, n := range g.carriedBy(m) {
		parts = append(parts, networkPhrase(n))
	}
	if len(parts) == 0 {
		if ns, ok := g.Netns(m); ok && ns.Attrs.Network != "" {
			parts = append(parts, "overlay "+ns.Attrs.Network)
		}
	}
	return strings.Join(append(parts, "port of "+m.Name), ", ")
}

func paren(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// linkSentence says what a link is and who is behind it.
func (g *Graph) linkSentence(l *Node) string {
	return g.linkPhrase(l) + " is " + g.linkWhat(l) + g.withAddrs(l)
}

// withAddrs adds a link's addresses to a sentence.
func (g *Graph) withAddrs(l *Node) string {
	if l.Attrs.Type == "loopback" {
		return ""
	}
	var addrs []string
	for _, a := range l.Attrs.Addrs {
		if !strings.HasPrefix(a, "fe80:") {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return ""
	}
	return ", with " + strings.Join(addrs, ", ")
}

func (g *Graph) linkWhat(l *Node) string {
	a := &l.Attrs
	switch a.Type {
	case "loopback":
		return "the loopback device"
	case "veth", "netkit":
		return g.vethWhat(l)
	case "bridge":
		s := "a bridge"
		if nets := g.carriedBy(l); len(nets) > 0 {
			var names []string
			for _, n := range nets {
				names = append(names, n.Attrs.Engine+" network "+n.Name)
			}
			s = "the bridge of " + strings.Join(names, " and ")
		}
		return s + " with " + count(len(g.In(l.ID, EdgePort)), "port")
	case "vxlan":
		return g.vxlanWhat(l)
	}
	if p := g.first(l, EdgeParent); p != nil {
		what := "a"
		if strings.HasPrefix(a.Type, "ip") {
			what = "an"
		}
		what += " " + a.Type
		if a.Vlan != 0 {
			what += fmt.Sprintf(" with id %d", a.Vlan)
		}
		return what + paren(a.Mode) + " on " + g.linkPhrase(p) + g.portOf(l)
	}
	switch {
	case a.Type == "device":
		return "a network device" + g.portOf(l) + g.parentOf(l)
	case a.VNI != 0:
		return fmt.Sprintf("a %s with VNI %d", a.Type, a.VNI) + g.portOf(l)
	}
	return "of type " + a.Type + paren(a.Mode) + g.portOf(l) + g.parentOf(l)
}

func (g *Graph) portOf(l *Node) string {
	if m := g.Master(l); m != nil {
		return ", a port of " + m.Name
	}
	return ""
}

// parentOf tells what sits on a link.
func (g *Graph) parentOf(l *Node) string {
	var names []string
	for _, e := range g.In(l.ID, EdgeParent) {
		if n, ok := g.Node(e.From); ok {
			names = append(names, g.linkPhrase(n))
		}
	}
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	if len(names) == 0 {
		return ""
	}
	return ", under " + strings.Join(names, ", ")
}

func (g *Graph) vethWhat(l *Node) string {
	p := g.Peer(l)
	if p == nil {
		end := cmp.Or(g.FarEnd(l), "not known")
		return "a " + l.Attrs.Type + " whose other end is " + end + g.portOf(l)
	}
	mine, _ := g.Netns(l)
	theirs, _ := g.Netns(p)
	switch {
	case theirs != nil && g.holderOf(theirs) != nil && (mine == nil || g.holderOf(mine) == nil):
		end := "the other end"
		if mine != nil && mine.Attrs.Role == RoleHost {
			end = "the host end"
		}
		return end + " of " + g.linkPhrase(p) + paren(g.hangsOn(l))
	case g.Master(l) != nil && g.Master(p) == nil:
		return "the other end of " + g.linkPhrase(p) + paren(g.hangsOn(l))
	}
	return "the other end of " + g.linkPhrase(p) + paren(g.hangsOn(p)) + g.portOf(l)
}

func (g *Graph) vxlanWhat(l *Node) string {
	s := fmt.Sprintf("a vxlan with VNI %d on UDP port %d", l.Attrs.VNI, l.Attrs.Port)
	if nets := g.carriedBy(l); len(nets) == 1 && nets[0].Attrs.Driver == "overlay" {
		s = fmt.Sprintf("the vxlan of %s network %s with VNI %d on UDP port %d", nets[0].Attrs.Engine, nets[0].Name, l.Attrs.VNI, l.Attrs.Port)
	}
	for _, e := range g.Out(l.ID, EdgeUnderlay) {
		if n, ok := g.Node(e.To); ok && n.Kind == KindNetns && n.ID != l.Attrs.Netns {
			s += ", carried by " + g.netnsPhrase(n)
		}
	}
	var ends []string
	for _, e := range g.Out(l.ID, EdgeTunnel) {
		if n, ok := g.Node(e.To); ok {
			end := e.Attrs.Address
			switch {
			case n.Kind == KindVTEP && n.Attrs.Node != "":
				end += " (" + n.Attrs.Node + ")"
			case n.Kind == KindLink && n.Host != "":
				end += " (" + n.Host + ")"
			}
			ends = append(ends, end)
		}
	}
	if len(ends) > 3 {
		ends = append(ends[:3], fmt.Sprintf("%d more", len(ends)-3))
	}
	if len(ends) > 0 {
		s += ", with tunnels to " + strings.Join(ends, ", ")
	}
	return s
}

// enumerate is "a", "a and b", "a, b and c".
func enumerate(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// containerSentence says what a container is and where its wires go.
func (g *Graph) containerSentence(n *Node) string {
	s := g.shortName(n) + " is a " + n.Attrs.Engine + " container" + g.on(n)
	if n.Attrs.Mode != "" {
		s += " in network mode " + n.Attrs.Mode
	}
	if !liveState(n.Attrs.State) {
		return s + ", " + n.Attrs.State
	}
	if len(n.Attrs.Addrs) > 0 {
		s += ", with " + strings.Join(n.Attrs.Addrs, ", ")
	}
	if ns, ok := g.Netns(n); ok {
		s += ", in netns " + shortOf(ns)
		if n.Attrs.Mode != "host" {
			if w := g.wires(ns, g.outward); len(w) > 0 {
				s += ": " + strings.Join(w, "; ")
			}
		}
	}
	return s
}

// networkSentence says what a network is and what carries it.
func (g *Graph) networkSentence(n *Node) string { return n.Name + " is " + g.networkWhat(n) }

func (g *Graph) networkWhat(n *Node) string {
	s := "a " + strings.TrimSpace(n.Attrs.Engine+" "+n.Attrs.Driver) + " network" + g.on(n)
	facts := append([]string(nil), n.Attrs.Subnets...)
	for _, v := range n.Attrs.VNIs {
		facts = append(facts, fmt.Sprintf("VNI %d", v))
	}
	s += paren(strings.Join(facts, ", "))
	var by []string
	for _, e := range g.In(n.ID, EdgeCarries) {
		if c, ok := g.Node(e.From); ok {
			if c.Kind == KindNetns {
				by = append(by, "netns "+c.Name+g.on(c))
			} else {
				by = append(by, g.linkPhrase(c))
			}
		}
	}
	if len(by) > 0 {
		s += ", carried by " + enumerate(by)
	}
	return s + ", with " + count(len(g.Members(n)), "running container")
}

// serviceSentence says what a service is, where it is balanced and who its members are.
func (g *Graph) serviceSentence(n *Node) string {
	if g.index().raw[n.ID].virt != nil {
		return fmt.Sprintf("%s is a service with VIP %s for port %s, balanced in %s", n.Name, strings.Join(n.Attrs.VIPs, ", "), strings.Join(n.Attrs.Ports, ", "), g.balancedHow(n, "", nil))
	}
	s := n.Name + " is a swarm service"
	if k := len(n.Attrs.VIPs); k > 0 {
		s += " with VIP" + map[bool]string{true: "s"}[k > 1] + " " + strings.Join(n.Attrs.VIPs, ", ")
	} else if n.Attrs.EndpointMode != "" {
		s += " in endpoint mode " + n.Attrs.EndpointMode
	}
	if len(n.Attrs.Ports) > 0 {
		s += ", published as " + strings.Join(n.Attrs.Ports, ", ")
	}
	if by := g.balancers(n, ""); by != "" {
		s += ", balanced in " + by
	}
	s += ", with " + count(len(g.Members(n)), "running container") + " here"
	if len(n.Attrs.Backends) > 0 {
		s += fmt.Sprintf(" and %d elsewhere", len(n.Attrs.Backends))
	}
	return s
}

// balancers names the sandboxes that hold a VIP of a service, or any.
func (g *Graph) balancers(n *Node, vip string) string {
	var by []string
	for _, e := range g.In(n.ID, EdgeBalances) {
		if b, ok := g.Node(e.From); ok && (vip == "" || e.Attrs.Address == vip) {
			by = append(by, b.Name+g.on(b))
		}
	}
	return enumerate(sortedSet(by))
}
