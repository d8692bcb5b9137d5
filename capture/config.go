package capture

import (
	"context"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Config is what a session captures and how.
type Config struct {
	Filter *filter.Filter
	// On keeps only the links of these names, where not empty.
	On []string
	// SnapLen is the most that is kept of a frame, 0 for all; Buffer the bytes of all rings together, 0 for the default.
	SnapLen, Buffer int
	Checksums       bool
	VXLANPorts      []uint16
	// Open opens a namespace by its identity; Proc is where /proc is.
	Open func(ctx context.Context, id snapshot.NSID, name string) (*netns.Handle, error)
	Proc string
	// Note tells of what comes and goes.
	Note func(format string, args ...any)
	// Refresh reads the host anew, and Targets are what is asked for: what (re)starts under one of these names joins. nil: nothing joins.
	Refresh func(context.Context) (*topo.Graph, error)
	Targets []string
}

// Counts are what came of one source.
type Counts struct {
	Name             string
	Packets, Dropped uint64
}
