package engine

import (
	"context"
	"sync"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

// follower is an engine that tells of changes.
type follower interface {
	Follow(ctx context.Context, v *host.View, changed func()) bool
}

// Follow calls changed, from goroutines of its own, whenever one of the engines says that something changed of what [Read] reads,
// until ctx ends. It returns how many engines tell; the others, of which only files are read, tell nothing.
func Follow(ctx context.Context, o Options, changed func()) int {
	o.defaults()
	v := host.NewView(o.Proc, o.Processes)
	v.Timeout = o.Timeout
	if o.HostNS != "" {
		v.HostNS = o.HostNS
	}
	v.FindPlaces(lasting(v)...)
	defer v.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for _, f := range families(&o) {
		for _, e := range f.Find(v) {
			if fl, ok := e.(follower); ok {
				wg.Go(func() {
					if fl.Follow(ctx, v, changed) {
						mu.Lock()
						n++
						mu.Unlock()
					}
				})
			}
		}
	}
	wg.Wait()
	return n
}
