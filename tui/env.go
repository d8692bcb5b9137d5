package tui

import (
	"context"
	"slices"
	"time"

	"github.com/nscope/nscope/topo"
)

// env is what the root and all views share. Only the root writes it.
type env struct {
	ctx    context.Context // ends with the program
	cfg    *Config
	look   *look
	state  *State // never nil: an empty one before the first came
	rates  *rates
	filter filter
	marks  []string        // node ids, at most two, in the order they were marked
	path   map[string]bool // node ids of the lit path
	wide   bool
	frozen bool
	now    func() time.Time
	// seen is collected while drawing: see watch.
	seen Watch
}

func newEnv(ctx context.Context, cfg *Config) *env {
	return &env{ctx: ctx, cfg: cfg, look: newLook(cfg.ASCII, !cfg.NoColor, !cfg.Light), state: stateOf(nil, false), rates: newRates(), now: time.Now}
}

// node is the node of an id in what is shown.
func (e *env) node(id string) *topo.Node {
	n, _ := e.state.Graph.Node(id)
	return n
}

// marked tells whether a node is marked.
func (e *env) marked(id string) bool { return slices.Contains(e.marks, id) }

// watch says, while drawing, that counters of links are on the screen.
func (e *env) watch(links ...string) { e.seen.Links = append(e.seen.Links, links...) }
