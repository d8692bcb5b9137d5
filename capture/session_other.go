//go:build !linux

package capture

import (
	"context"
	"errors"
	"time"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// errLinux: packets are captured on Linux; files are read anywhere.
var errLinux = errors.New("packets are captured on Linux only (files are read: -r)")

// Session captures, on Linux.
type Session struct{}

// NewSession says that there is none.
func NewSession(*topo.Graph, Config) (*Session, error) { return nil, errLinux }

// Add, Run, Call, SetFilter, Counts, Dropped, Drained and Close are never called: there is no session.
func (*Session) Add(context.Context, []Spot, bool) error { return errLinux }
func (*Session) Run(context.Context, func(*text.Event) error, func() (bool, error)) error {
	return errLinux
}
func (*Session) Call(func()) bool         { return false }
func (*Session) SetFilter(*filter.Filter) {}
func (*Session) Counts() []Counts         { return nil }
func (*Session) Dropped() uint64          { return 0 }
func (*Session) Drained() time.Time       { return time.Time{} }
func (*Session) Close()                   {}
