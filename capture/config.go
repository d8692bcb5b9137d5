package capture

import (
	"cmp"
	"context"
	"slices"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Config is what a session captures and how. Its zero value captures all of each namespace that is added.
type Config struct {
	Filter *filter.Filter
	// On keeps only the links of these names, where not empty.
	On []string
	// SnapLen is the most that is kept of a frame, 0 for all; Buffer the bytes of all rings together, 0 for the default.
	SnapLen, Buffer int
	Checksums       bool
	VXLANPorts      []uint16
	// Undecoded leaves the headers of packets alone where no filter looks at them: they have Data, Len and Link, and no Heads.
	Undecoded bool
	// NoNames has addresses stay addresses.
	NoNames bool
	// Proc is where /proc is, "" for /proc. Open opens a namespace by its identity; nil: what Proc leads to.
	Proc string
	Open func(ctx context.Context, id snapshot.NSID, name string) (*netns.Handle, error)
	// Note tells of what comes and goes, in the goroutine that runs the session; nil: nobody is told.
	Note func(format string, args ...any)
	// Refresh reads the host anew, and Targets are what is asked for: what (re)starts under one of these names joins. nil: nothing joins.
	Refresh func(context.Context) (*topo.Graph, error)
	Targets []string
	// Await looks from the beginning for targets that have no spot yet.
	Await bool
	// Refilter makes the filter anew by what Refresh has read, where it has names in it whose addresses may be others by now; nil: it has none.
	Refilter func(*topo.Graph) (*filter.Filter, error)
}

// Counts are what came of one ring: of the links of one namespace, or of one link.
type Counts struct {
	// Name is the namespace's, or "web/eth0" for a link that was asked for.
	Name string
	// Netns is what the namespace is called.
	Netns string
	// Taken are the frames that the ring had room for, Dropped those that it had none for.
	Taken, Dropped uint64
	// Links are those that packets came by, sorted by name.
	Links []LinkCounts
}

// LinkCounts are what came of one link and was wanted.
type LinkCounts struct {
	Place *text.Place
	// Packets and Bytes are as on the wire, whatever was cut off.
	Packets, Bytes uint64
}

// Packets are those of all links.
func (c *Counts) Packets() (n uint64) {
	for _, l := range c.Links {
		n += l.Packets
	}
	return n
}

// merge joins the counts of rings that are called alike: a container that has started again.
func merge(all []Counts) (out []Counts) {
	for _, c := range all {
		i := slices.IndexFunc(out, func(o Counts) bool { return o.Name == c.Name })
		if i < 0 {
			c.Links = slices.Clone(c.Links)
			out = append(out, c)
			continue
		}
		o := &out[i]
		o.Taken, o.Dropped = o.Taken+c.Taken, o.Dropped+c.Dropped
		for _, l := range c.Links {
			if j := slices.IndexFunc(o.Links, func(k LinkCounts) bool { return k.Place.Name == l.Place.Name }); j >= 0 {
				o.Links[j].Packets, o.Links[j].Bytes = o.Links[j].Packets+l.Packets, o.Links[j].Bytes+l.Bytes
			} else {
				o.Links = append(o.Links, l)
			}
		}
	}
	slices.SortFunc(out, func(a, b Counts) int { return cmp.Compare(a.Name, b.Name) })
	for i := range out {
		slices.SortFunc(out[i].Links, func(a, b LinkCounts) int { return cmp.Compare(a.Place.Name, b.Place.Name) })
	}
	return out
}
