package render

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// nsName is a namespace's name as people know it.
func nsName(n *topo.Node) string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Attrs.Inode != 0:
		return strconv.FormatUint(n.Attrs.Inode, 10)
	}
	return strings.TrimPrefix(n.ID, "netns:")
}

// nameOf is what to call any node: its name, and where it has none its id.
func nameOf(n *topo.Node) string {
	switch {
	case n.Kind == topo.KindNetns:
		return nsName(n)
	case n.Kind == topo.KindVTEP && n.Attrs.Address != "":
		return n.Attrs.Address
	case n.Name != "":
		return n.Name
	}
	return n.ID
}

// mainAddrs orders addresses as people look for them (IPv4, then global IPv6) without link-local ones, unless there is
// nothing else. bare drops the prefix length.
func mainAddrs(addrs []string, bare bool) []string {
	global, local := splitAddrs(addrs, bare)
	if len(global) == 0 {
		return local
	}
	return global
}

// ownAddrs are a link's addresses but the link-local ones, which every port has.
func ownAddrs(n *topo.Node) []string {
	global, _ := splitAddrs(n.Attrs.Addrs, false)
	return global
}

func splitAddrs(addrs []string, bare bool) (global, local []string) {
	var v4, v6 []string
	for _, s := range addrs {
		text := s
		if host, _, ok := strings.Cut(s, "/"); ok && bare {
			text = host
		}
		a, err := netip.ParseAddr(strings.SplitN(s, "/", 2)[0])
		switch {
		case err == nil && a.IsLinkLocalUnicast():
			local = append(local, text)
		case err == nil && a.Is6() && !a.Is4In6():
			v6 = append(v6, text)
		default:
			v4 = append(v4, text)
		}
	}
	return append(v4, v6...), local
}

// few joins the first n of a list and tells how many more there are; all of them with o.Wide.
func (o Options) few(list []string, n int, sep string) string {
	if o.Wide || len(list) <= n {
		return strings.Join(list, sep)
	}
	return strings.Join(list[:n], sep) + fmt.Sprintf(" +%d", len(list)-n)
}

// ports shortens published ports: "0.0.0.0:8080->80/tcp" and its twin on [::] become "8080→80/tcp".
func (o Options) ports(list []string) []string {
	var r []string
	for _, p := range list {
		for _, any := range []string{"0.0.0.0:", "[::]:", ":::", "*:"} {
			p = strings.TrimPrefix(p, any)
		}
		p = strings.ReplaceAll(p, "->", o.glyphs().arrow)
		if !slices.Contains(r, p) {
			r = append(r, p)
		}
	}
	return r
}

// engineWord is "(docker)", with the state where it is not simply running.
func engineWord(c *topo.Node) string {
	words := []string{c.Attrs.Engine}
	if words[0] == "" {
		words[0] = "container"
	}
	if st := c.Attrs.State; st != "" && st != "running" {
		words = append(words, st)
	}
	return "(" + strings.Join(words, ", ") + ")"
}

// claimWord says who says so, where the kernel does not prove it.
func claimWord(a *topo.EdgeAttrs) string { return when(a.Source != "", "the engine says so") }

// noteWord is claimWord with what is odd about it.
func noteWord(a *topo.EdgeAttrs) string {
	if a.Note == "" {
		return claimWord(a)
	}
	return when(a.Source != "", "the engine says so, but ") + a.Note
}

// taskName is a swarm task's container: service, slot or node, task id.
var taskName = regexp.MustCompile(`^(.+\.(?:[0-9]+|[0-9a-z]{25}))\.[0-9a-z]{25}$`)

// shortTask is the name of a task's container without the task's id, other names as they are.
func shortTask(name string) string { return taskName.ReplaceAllString(name, "$1") }

// roleWord says what a namespace without a container is.
func roleWord(n *topo.Node) string {
	of := func(s string) string {
		if n.Attrs.Network != "" {
			return s + " of " + n.Attrs.Network
		}
		return s
	}
	switch n.Attrs.Role {
	case topo.RoleHost:
		return "host"
	case topo.RoleNode:
		return "node"
	case topo.RoleOverlay:
		return of("overlay")
	case topo.RoleLoadBalancer:
		return of("load balancer")
	case topo.RoleIngress:
		return "routing mesh"
	case topo.RoleNamed:
		return "named"
	case topo.RoleContainer:
		return "container"
	}
	return "namespace"
}

// stateWord is the state of a link where it is worth a word. Devices that do not report one ("unknown") are fine.
func stateWord(n *topo.Node) string {
	switch n.Attrs.State {
	case "", "up", "unknown":
		return ""
	case "lowerlayerdown":
		return "lower layer down"
	}
	return n.Attrs.State
}

// plural counts things: "1 container", "3 containers".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	many := one + "s"
	if strings.HasSuffix(one, "y") {
		many = strings.TrimSuffix(one, "y") + "ies"
	}
	if strings.HasSuffix(one, "s") {
		many = one + "es"
	}
	return strconv.Itoa(n) + " " + many
}

// markWord writes a firewall mark as iptables does; ipvsadm's decimal is in `nscope show`.
func markWord(m uint32) string { return fmt.Sprintf("mark 0x%x", m) }

// linkFacts is what a link is, with the attributes that matter for its type: "vxlan vni 4097".
func linkFacts(n *topo.Node, wide bool) string {
	a := &n.Attrs
	var w []string
	switch a.Type {
	case "device", "bridge", "veth", "loopback", "":
	default:
		w = append(w, a.Type)
	}
	if a.Vlan != 0 {
		w = append(w, fmt.Sprint(a.Vlan))
	}
	if a.VNI != 0 {
		w = append(w, fmt.Sprintf("vni %d", a.VNI))
	}
	if a.Mode != "" {
		w = append(w, a.Mode)
	}
	if wide && a.Port != 0 {
		w = append(w, fmt.Sprintf("port %d", a.Port))
	}
	if wide && a.Local != "" {
		w = append(w, "local "+a.Local)
	}
	return strings.Join(w, " ")
}
