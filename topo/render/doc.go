// Package render turns a [topo.Graph] into something to look at: a tree for a terminal, a picture, a page, a graph for
// other tools, and the pages of `nscope show`.
//
//	render.Tree(os.Stdout, g, render.Options{Width: 120})
//	render.HTML(f, g, render.Options{})
//	render.Show(os.Stdout, g, node, render.Options{Wide: true})
//
// Every renderer is a pure function of the graph: same graph, same bytes. None reads the host, and none trusts a name:
// what comes from a container's or link's name is escaped for the terminal, for XML, for HTML and for the graph
// languages, so a hostile snapshot can neither move the cursor nor run a script.
//
// In text no line is longer than [Options.Width] columns: what does not fit ends in "…". Colour only repeats what the
// text says already.
package render
