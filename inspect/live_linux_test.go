package inspect_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/snapshot"
)

// TestLiveEndsWhileReading: a reading that is under way is given up when it is not wanted any more.
func TestLiveEndsWhileReading(t *testing.T) {
	lab(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	var at time.Time
	l := inspect.NewLive(inspect.WithoutEngines(), inspect.WithProgress(func(done, total int) {
		once.Do(func() {
			at = time.Now()
			cancel()
		})
	}))
	err := l.Run(ctx, func(inspect.Update) { t.Error("it was read to the end") })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(at); at.IsZero() || took > 5*time.Second {
		t.Errorf("it goes on for %v", took)
	}
}

// TestLiveLeavesNothing: what a Live opened is closed when it ends, and it keeps no namespace alive: neither one that has a number
// in another, nor one that has none.
func TestLiveLeavesNothing(t *testing.T) {
	host, spaces := lab(t, 3)
	run := func(f func(l *inspect.Live, next func() inspect.Update)) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		up, done := make(chan inspect.Update, 256), make(chan error, 1)
		l := inspect.NewLive(inspect.WithoutEngines(), inspect.WithDepth(inspect.Topology))
		go func() { done <- l.Run(ctx, func(u inspect.Update) { up <- u }) }()
		next := func() inspect.Update {
			select {
			case u := <-up:
				return u
			case err := <-done:
				t.Fatal(err)
			}
			return inspect.Update{}
		}
		for fulls := 0; fulls < 2; {
			if next().Full {
				fulls++
			}
		}
		f(l, next)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	run(func(*inspect.Live, func() inspect.Update) {}) // whatever is opened once for ever is open now
	files, ignore := openFiles(t), goleak.IgnoreCurrent()
	run(func(l *inspect.Live, _ func() inspect.Update) {
		link, err := host.Link("va")
		if err != nil {
			t.Fatal(err)
		}
		ref := inspect.LinkRef{In: host.ID(), Index: link.Attrs().Index}
		if got := l.Stats([]inspect.LinkRef{ref, {In: host.ID(), Index: 99999}, {In: "4:1", Index: 1}}); len(got) != 1 {
			t.Errorf("counters of %v", got)
		}
	})
	if now := openFiles(t); !slices.Equal(files, now) {
		t.Errorf("descriptors before:\n%s\nafter:\n%s", strings.Join(files, "\n"), strings.Join(now, "\n"))
	}
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
	gone := spaces[0].ID()
	run(func(_ *inspect.Live, next func() inspect.Update) {
		spaces[0].Close()
		for {
			u := next()
			if u.Snapshot != nil && !slices.ContainsFunc(u.Snapshot.Namespaces, func(n snapshot.Namespace) bool { return n.ID == gone }) {
				break
			}
		}
		// Its end of the pair took the other one along: the namespace is gone indeed, and not only forgotten.
		for {
			if _, err := host.Link("va"); err != nil {
				return
			}
			next()
		}
	})
}
