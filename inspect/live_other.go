//go:build !linux

package inspect

import (
	"context"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Live keeps a snapshot up to date, on Linux.
type Live struct{}

// NewLive makes one that fails: only Linux has network namespaces.
func NewLive(...Option) *Live { return &Live{} }

// Run fails.
func (*Live) Run(context.Context, func(Update)) error { return netns.ErrUnsupported }

// Look does nothing.
func (*Live) Look(...snapshot.NSID) {}

// Stats reads nothing.
func (*Live) Stats([]LinkRef) map[LinkRef]snapshot.LinkStats { return nil }
