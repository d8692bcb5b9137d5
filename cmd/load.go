package cmd

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// snapshots reads the snapshots that --from names, or else the live host.
func (a *app) snapshots(ctx context.Context, opts ...inspect.Option) ([]*snapshot.Snapshot, error) {
	if len(a.from) > 0 {
		var out []*snapshot.Snapshot
		for _, path := range a.from {
			s, err := snapshot.Load(path)
			if err != nil {
				return nil, fmt.Errorf("cannot read the snapshot %w", err)
			}
			out = append(out, s)
		}
		return out, nil
	}
	p := a.progress("reading namespaces")
	defer p.end()
	base := append(a.liveOptions(), inspect.WithProgress(p.update))
	s, err := inspect.Collect(ctx, append(base, opts...)...)
	if err != nil {
		return nil, err
	}
	return []*snapshot.Snapshot{s}, nil
}

// liveOptions say how the live host is read.
func (a *app) liveOptions() []inspect.Option {
	base := []inspect.Option{
		inspect.WithProc(a.proc), inspect.WithTimeout(a.timeout), inspect.WithTool("nscope " + Version()), inspect.WithEtcd(a.etcd...),
	}
	if len(a.engines) > 0 {
		var urls []string
		for _, e := range a.engines {
			urls = append(urls, fixtures.EngineURL(e))
		}
		base = append(base, inspect.WithEndpoints(urls...))
	}
	if a.noEngine {
		base = append(base, inspect.WithoutEngines())
	}
	return base
}

// graph reads and builds. For the target "self" nothing but nscope's own namespace is read, so that no capability is needed.
func (a *app) graph(ctx context.Context, target string, opts ...inspect.Option) (*topo.Graph, error) {
	if target == "self" {
		opts = append(opts, inspect.SelfOnly())
	}
	snaps, err := a.snapshots(ctx, opts...)
	if err != nil {
		return nil, err
	}
	g := topo.Build(snaps...)
	a.tellGaps(g.Gaps)
	if target != "self" {
		a.tellElsewhere(snaps)
	}
	return g, nil
}

// tellElsewhere says so when nscope does not run in the host's namespace: what it shows is right, but "here" is not the host.
func (a *app) tellElsewhere(snaps []*snapshot.Snapshot) {
	if len(a.from) > 0 || len(snaps) != 1 {
		return
	}
	h := snaps[0].Host
	closed := slices.ContainsFunc(snaps[0].Gaps, func(g snapshot.Gap) bool { return g.Reader == "processes" })
	switch {
	case h.InitNS == "" && closed:
		fmt.Fprintln(a.err, "nscope: note: which network namespace is the host's could not be told: pid 1 and the kernel's threads may not be read")
	case h.InitNS == "":
		fmt.Fprintln(a.err, "nscope: note: no process of the host is in sight, only what nscope's own namespace leads to (run the image with --pid=host)")
	case h.InitNS != h.SelfNS:
		fmt.Fprintf(a.err, "nscope: note: nscope itself runs in netns %s, not in the host's, %s\n", h.SelfNS.Short(), h.InitNS.Short())
	}
}

// progress shows a line on a terminal's standard error when something takes long.
type progress struct {
	a     *app
	what  string
	mu    sync.Mutex
	start time.Time
	last  time.Time
	shown bool
}

func (a *app) progress(what string) *progress {
	return &progress{a: a, what: what, start: time.Now()}
}

func (p *progress) update(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.start) < 300*time.Millisecond || now.Sub(p.last) < 100*time.Millisecond || !p.a.isTerminal(p.a.err) {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.a.err, "\r%s %d/%d", p.what, done, total)
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.a.err, "\r\x1b[K")
		p.shown = false
	}
}
