//go:build !linux

package probe

import (
	"context"
	"net/netip"

	"github.com/nscope/nscope/inspect/netns"
)

// There are no namespaces to ask from outside Linux: every probe returns [netns.ErrUnsupported].

func Ping(context.Context, *From, To, Options) (*Result, error) { return nil, netns.ErrUnsupported }
func TCP(context.Context, *From, To, Options) (*Result, error)  { return nil, netns.ErrUnsupported }
func UDP(context.Context, *From, To, Options) (*Result, error)  { return nil, netns.ErrUnsupported }
func MTU(context.Context, *From, To, Options) (*Result, error)  { return nil, netns.ErrUnsupported }
func ARP(context.Context, *From, To, Options) (*Result, error)  { return nil, netns.ErrUnsupported }
func All(context.Context, *From, To, Options) (*Result, error)  { return nil, netns.ErrUnsupported }
func Route(context.Context, *From, To, Options, RouteOptions) (*Result, error) {
	return nil, netns.ErrUnsupported
}
func DNS(context.Context, *From, To, Options, Question) (*Result, error) {
	return nil, netns.ErrUnsupported
}
func HTTP(context.Context, *From, To, Options, Request) (*Result, error) {
	return nil, netns.ErrUnsupported
}
func Bench(context.Context, *From, To, Options, BenchOptions) (*Result, error) {
	return nil, netns.ErrUnsupported
}
func Listen(context.Context, *From, Options, ListenOptions) (*Result, error) {
	return nil, netns.ErrUnsupported
}
func Matrix(context.Context, []Member, Options, MatrixOptions) (*MatrixResult, error) {
	return nil, netns.ErrUnsupported
}
func (f *From) Lookup(context.Context, string, Options) ([]netip.Addr, error) {
	return nil, netns.ErrUnsupported
}
