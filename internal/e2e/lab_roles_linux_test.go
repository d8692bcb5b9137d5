package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/topo"
)

// called says what the namespaces, containers, networks and services of a plan are to be called, from its command lines and
// from what its holders mount, as far as these tell; only what no kernel knows is from its description.
func called(p *fixtures.Plan, mode string) []string {
	files := map[string]string{} // by full name
	for _, s := range p.Spaces {
		if s.Holder != nil {
			for file, full := range s.Holder.Netns {
				files[full] = file
			}
		}
	}
	var out []string
	for _, s := range p.Spaces {
		at := ""
		if s.Host != nil {
			at = s.Host.Full()
		}
		role := map[string]string{fixtures.RoleHost: topo.RoleNode, fixtures.RoleContainer: topo.RoleContainer, fixtures.RoleSwitch: topo.RoleNamed}[s.Role]
		switch file := files[s.Full()]; {
		case s.Role == fixtures.RoleHost:
			at = s.Full()
		case strings.HasPrefix(file, "1-"):
			role = topo.RoleOverlay
		case strings.HasPrefix(file, "lb_"):
			role = topo.RoleLoadBalancer
		case file != "":
			role = topo.RoleIngress
		}
		if s.Shares == nil {
			out = append(out, fmt.Sprintf("%s is a %s of %s", s.Full(), role, at))
		}
		if s.Role == fixtures.RoleContainer {
			out = append(out, fmt.Sprintf("container %s of %s is in %s, mode %s", s.Name, at, s.Full(), cmp.Or(labModes[mode+"/"+s.Name], labModes[mode])))
		}
	}
	for _, n := range p.Networks {
		for _, h := range n.Hosts {
			what := fmt.Sprintf("network %s %s %v", n.Driver, n.Name, n.Subnets)
			if n.VNI != 0 {
				what += fmt.Sprintf(" vni %d", n.VNI)
			}
			by := cmp.Or(n.Bridge, n.Parent)
			if n.Driver != "overlay" {
				out = append(out, what+" is carried by "+by+" of "+p.Space(h).Full())
				continue
			}
			for full, file := range files {
				if s := p.Spaces[slices.IndexFunc(p.Spaces, func(s *fixtures.Space) bool { return s.Full() == full })]; s.Host.Name == h && file == "1-"+n.ID[:10] {
					out = append(out, what+" is carried by "+full)
				}
			}
		}
	}
	for _, svc := range p.Services {
		for _, x := range svc.Ports {
			for _, s := range p.Spaces {
				switch {
				case x.Mode == "ingress" && s.Role == fixtures.RoleHost && s.Info.Addr.IsValid():
					out = append(out, fmt.Sprintf("service %s publishes %d by mesh at %s", svc.Name, x.Host, s.Full()))
				case x.Mode == "host" && s.Info.Service == svc.ID:
					out = append(out, fmt.Sprintf("container %s publishes %d by host at %s", s.Name, x.Host, s.Host.Full()))
				}
			}
		}
		for _, s := range p.Spaces {
			if s.Info.Service == svc.ID {
				out = append(out, fmt.Sprintf("service %s has the member %s at %s", svc.Name, s.Name, s.Info.Endpoints[0].Addr.Addr()))
			}
			for _, vip := range svc.VIPs { // what proves it is the address
				if slices.ContainsFunc(p.Steps, func(st fixtures.Step) bool {
					return st.Space == s && st.Line == fmt.Sprintf("ip addr add %s/32 dev eth0", vip.Addr)
				}) {
					out = append(out, fmt.Sprintf("%s balances %s for service %s", s.Full(), vip.Addr, svc.Name))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// calledBy says the same of a graph.
func calledBy(p *fixtures.Plan, g *topo.Graph) []string {
	spaces := map[string]string{}
	var out []string
	byID := map[string]*topo.Node{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		byID[n.ID] = n
		for _, s := range p.Spaces {
			if n.Kind == topo.KindNetns && slices.Contains(n.Attrs.Paths, "/run/netns/"+s.Full()) && spaces[n.ID] == "" {
				spaces[n.ID] = s.Full()
				out = append(out, fmt.Sprintf("%s is a %s of %s", s.Full(), n.Attrs.Role, nodeOf(n)))
			}
		}
	}
	where := func(n *topo.Node) string {
		if n.Kind == topo.KindLink {
			return n.Name + " of " + spaces[n.Attrs.Netns]
		}
		return spaces[n.ID]
	}
	for _, e := range g.Edges {
		from, to := byID[e.From], byID[e.To]
		ours := spaces[e.From] != "" || spaces[e.To] != "" || spaces[from.Attrs.Netns] != ""
		claim := ""
		if e.Attrs.Source != "" {
			claim = " (" + e.Attrs.Source + ")"
		}
		switch {
		case e.Kind == topo.EdgeBackend && strings.HasPrefix(to.Attrs.ContainerID, p.Full("")):
			// That it is a member is the lab's word, until the balancer's own entries are read.
			out = append(out, fmt.Sprintf("service %s has the member %s at %s", from.Name, to.Name, e.Attrs.Address))
		case !ours:
		case e.Kind == topo.EdgeRunsIn:
			out = append(out, fmt.Sprintf("container %s of %s is in %s, mode %s%s", from.Name, nodeOf(from), where(to), from.Attrs.Mode, claim))
		case e.Kind == topo.EdgeCarries:
			what := fmt.Sprintf("network %s %s %v", to.Attrs.Driver, to.Name, to.Attrs.Subnets)
			if to.Attrs.VNI != 0 {
				what += fmt.Sprintf(" vni %d", to.Attrs.VNI)
			}
			out = append(out, what+" is carried by "+where(from)+claim)
		case e.Kind == topo.EdgePublishes && (e.Attrs.By == "mesh" || e.Attrs.By == "host"):
			out = append(out, fmt.Sprintf("%s %s publishes %d by %s at %s%s", from.Kind, from.Name, e.Attrs.HostPort, e.Attrs.By, where(to), claim))
		case e.Kind == topo.EdgeBalances:
			out = append(out, fmt.Sprintf("%s balances %s for service %s%s", where(from), e.Attrs.Address, to.Name, claim))
		}
	}
	slices.Sort(out)
	return out
}

// nodeOf is the node of the host that something is on, empty for the host itself.
func nodeOf(n *topo.Node) string {
	_, node, _ := strings.Cut(n.Host, "/")
	return node
}
