//go:build !linux

package inspect

import (
	"context"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Collect fails: only Linux has network namespaces. Snapshots of other hosts can be read everywhere.
func Collect(context.Context, ...Option) (*snapshot.Snapshot, error) {
	return nil, netns.ErrUnsupported
}

// ReadConns fails: network namespaces are Linux's.
func ReadConns(*netns.Handle, ConnFilter, int) (*Conns, error) {
	return nil, netns.ErrUnsupported
}
