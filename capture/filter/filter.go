package filter

import (
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
)

// Dir is a packet's direction at the interface where it was captured.
type Dir uint8

// The directions.
const (
	Unknown Dir = iota
	In
	Out
)

// Meta is what is known of a packet beside its bytes.
type Meta struct {
	Dir Dir
	// Workload is the id of the container (or other workload) in whose namespace it was captured, "" for none.
	Workload string
}

// Names tells what names mean. It is asked while an expression is parsed.
type Names interface {
	// Host gives the addresses of a name after "host", "src", "dst" (a container's, a service's).
	Host(name string) ([]netip.Addr, error)
	// Container gives the id that Meta.Workload has for it, and its addresses.
	Container(name string) (id string, addrs []netip.Addr, err error)
	// Service gives its virtual addresses and those of its members.
	Service(name string) ([]netip.Addr, error)
}

// Filter is a compiled expression. It may be used by several goroutines.
type Filter struct {
	expr string
	root node
}

// Parse compiles an expression; the empty one matches everything. names may be nil: then there are none. The error is an [*Error].
func Parse(expr string, names Names) (*Filter, error) {
	toks, err := lex(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{expr: expr, toks: toks, names: names}
	root, err := p.whole()
	if err != nil {
		return nil, err
	}
	return &Filter{expr, root}, nil
}

// String is the expression that it was made of.
func (f *Filter) String() string { return f.expr }

// Match tells whether a decoded packet matches.
func (f *Filter) Match(p *packet.Packet, m Meta) bool {
	v := view{p: p, meta: m, data: p.Data, link: p.Link}
	return f.root.eval(&v) && !v.bad
}
