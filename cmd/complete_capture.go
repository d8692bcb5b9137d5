package cmd

import (
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/topo"
)

// completeCapture offers targets and words of a filter; behind a word that takes a name, such names.
func (a *app) completeCapture(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	_, expr := splitCapture(args)
	if len(args) > 0 && args[len(args)-1] == "host" && len(expr) == 0 && len(args) > 1 {
		expr = args[len(args)-1:] // an address may follow, and another target too
	}
	g := a.completionGraph()
	if g == nil {
		g = &topo.Graph{}
	}
	words := captureWords(g, expr)
	slices.Sort(words)
	return withPrefix(slices.Compact(words), prefix), cobra.ShellCompDirectiveNoFileComp
}

// captureWords are those that may follow the words of a filter; of an empty one targets too.
func captureWords(g *topo.Graph, expr []string) (out []string) {
	if len(expr) == 0 {
		out = append(append(out, "all"), filter.Words()...)
		for i := range g.Nodes {
			switch n := &g.Nodes[i]; {
			case n.Kind == topo.KindNetwork:
				out = append(out, "net:"+n.Name)
			case n.Kind == topo.KindService:
				out = append(out, "service:"+n.Name)
			case n.Kind == topo.KindNetns && n.Attrs.Role == topo.RoleLoadBalancer && n.Attrs.Network != "":
				out = append(out, "lb:"+n.Attrs.Network)
			case n.Kind == topo.KindNetns && n.Attrs.Role == topo.RoleIngress:
				out = append(out, "ingress")
			}
		}
		return append(out, g.Targets()...)
	}
	switch expr[len(expr)-1] {
	case "container":
		return namesOf(g, topo.KindContainer)
	case "service":
		return namesOf(g, topo.KindService)
	case "host":
		return append(namesOf(g, topo.KindContainer), append(namesOf(g, topo.KindService), g.Targets()...)...)
	case "encap":
		return filter.Encaps()
	case "dir":
		return []string{"in", "out"}
	case "vni":
		for i := range g.Nodes {
			if v := g.Nodes[i].Attrs.VNI; v != 0 {
				out = append(out, strconv.Itoa(int(v)))
			}
		}
		return out
	case "port", "portrange", "net", "proto", "less", "greater":
		return nil
	}
	return filter.Words()
}

func namesOf(g *topo.Graph, kind topo.Kind) (out []string) {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == kind {
			out = append(out, n.Name)
		}
	}
	return out
}

// completeLinks offers the names of links, whatever namespace they are in.
func (a *app) completeLinks(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	g := a.completionGraph()
	if g == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	words := namesOf(g, topo.KindLink)
	slices.Sort(words)
	return withPrefix(slices.Compact(words), prefix), cobra.ShellCompDirectiveNoFileComp
}
