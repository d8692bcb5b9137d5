//go:build !linux

package probe

import (
	"context"
	"net"
	"net/netip"

	"github.com/nscope/nscope/inspect/netns"
)

// DialError is a connection that did not come about.
type DialError struct {
	To     netip.AddrPort
	Class  Class
	Reason string
	Err    error
}

func (e *DialError) Error() string { return string(e.Class) }
func (e *DialError) Unwrap() error { return e.Err }

// Dial needs Linux.
func (f *From) Dial(context.Context, string, netip.AddrPort, Options) (net.Conn, error) {
	return nil, netns.ErrUnsupported
}
