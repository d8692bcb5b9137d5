package capture

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// VXLANPorts are the UDP ports that the vxlan links of a graph use.
func VXLANPorts(g *topo.Graph) (out []uint16) {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == topo.KindLink && n.Attrs.Type == "vxlan" && n.Attrs.Port != 0 && !slices.Contains(out, n.Attrs.Port) {
			out = append(out, n.Attrs.Port)
		}
	}
	slices.Sort(out)
	return out
}

// FilePlaces are the places of a file's interfaces: named after them, and by a graph or the file's own names.
type FilePlaces struct {
	r      *pcap.Reader
	namer  *Namer
	none   bool
	places []*text.Place
	ids    []string
	own    map[netip.Addr]string
	read   int
}

// NewFilePlaces names by a graph, where there is one: an interface "web/eth0" is that of the container. Else by the file's names.
func NewFilePlaces(r *pcap.Reader, g *topo.Graph, none bool) *FilePlaces {
	p := &FilePlaces{r: r, none: none, own: map[netip.Addr]string{}}
	if g != nil {
		p.namer = NewNamer(g)
		p.namer.None = none
	}
	return p
}

// Of is the place of the i-th interface.
func (p *FilePlaces) Of(i int) *text.Place {
	for len(p.places) <= i {
		place, id := p.make(&p.r.Interfaces[len(p.places)])
		p.places, p.ids = append(p.places, place), append(p.ids, id)
	}
	place := p.places[i]
	if place.Names == nil && len(p.r.Names) > 0 && !p.none {
		place.Names = p.name // it was not asked before there was a name
	}
	return place
}

// Workload is what [filter.Meta] has of the i-th interface.
func (p *FilePlaces) Workload(i int) string {
	p.Of(i)
	return p.ids[i]
}

func (p *FilePlaces) make(i *pcap.Interface) (*text.Place, string) {
	name, link, whole := strings.Cut(i.Name, "/")
	if p.namer != nil && whole {
		g := p.namer.g
		n, err := g.Resolve(i.Name)
		if err != nil {
			n, err = g.Resolve(name)
		}
		if err == nil {
			if ns, ok := g.Netns(n); ok {
				return p.namer.Place(ns, link), ns.ID
			}
		}
	}
	out := &text.Place{Name: i.Name, Link: link, Description: i.Description}
	if !whole {
		out.Link = i.Name
	}
	if !p.none && p.namer != nil {
		out.Inside = p.namer.inside
	}
	return out, ""
}

// name looks an address up in the file's own names, which may still be coming.
func (p *FilePlaces) name(a netip.Addr) string {
	for ; p.read < len(p.r.Names); p.read++ {
		n := p.r.Names[p.read]
		p.own[n.Addr] = n.Name
	}
	return p.own[a]
}
