package tui

import (
	"context"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/capture"
	pfilter "github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// Tap is what the Packets view asks for.
type Tap struct {
	// Graph is what Targets are names in, as `nscope capture` takes them.
	Graph   *topo.Graph
	Targets []string
	// Refresh gives the newest graph: what is asked for may have (re)started.
	Refresh func(context.Context) (*topo.Graph, error)
	// Note tells of what comes and goes.
	Note func(format string, args ...any)
}

// Session is a capture that is open: a [capture.Session].
type Session interface {
	Run(ctx context.Context, take func(*text.Event) error, idle func() (bool, error)) error
	SetFilter(*pfilter.Filter)
	Counts() []capture.Counts
}

// What a feed holds back while the view draws, and for how long it puts packets together.
const (
	mostWaiting = 2000
	feedEvery   = 100 * time.Millisecond
	placeWidth  = 16
)

// kept is a packet in the list.
type kept struct {
	*text.Event
	line string
	ok   bool // it passes the filter
}

// text is its line: without the place, which is told elsewhere, where that is one.
func (k *kept) text(one bool) string {
	if !one || k.Place == nil {
		return k.line
	}
	r := []rune(k.line)
	const clock = len("15:04:05.000000 ")
	place := max(len([]rune(k.Place.Name)), placeWidth) + 1
	if len(r) < clock+place {
		return k.line
	}
	return string(r[:clock]) + string(r[clock+place:])
}

// size is about what it takes in memory.
func (k *kept) size() int { return 1024 + len(k.Data) + len(k.line) }

// feed takes packets in the session's goroutine and hands them to the view, a batch at a time.
type feed struct {
	ctx     context.Context
	cancel  context.CancelFunc
	session Session
	more    chan struct{} // has one when there is something to hand over

	mu      sync.Mutex
	lines   text.Lines
	filter  *pfilter.Filter
	waiting []*kept
	seen    uint64 // all that the filter let through
	skipped uint64 // of them, those that nobody had the time to look at
	notes   []string
	done    bool
	err     error
	last    time.Time
}

// feedMsg is a batch.
type feedMsg struct {
	feed          *feed
	packets       []*kept
	seen, skipped uint64
	dropped       uint64 // by the kernel
	notes         []string
	done          bool
	err           error
}

func newFeed(ctx context.Context) *feed {
	f := &feed{more: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.lines.PlaceWidth = placeWidth
	return f
}

// run runs the session to its end. Where the feed was stopped meanwhile, that is at once.
func (f *feed) run(s Session) {
	f.session = s
	go func() {
		err := s.Run(f.ctx, f.take, nil)
		f.tell(func() { f.done, f.err = true, err })
	}()
}

// tell changes what is to be handed over.
func (f *feed) tell(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *feed) note(text string) {
	f.tell(func() { f.notes = append(f.notes, text) })
}

func (f *feed) take(e *text.Event) error {
	f.tell(func() {
		f.seen++
		if len(f.waiting) >= mostWaiting {
			f.skipped++
			return
		}
		c := e.Clone()
		f.waiting = append(f.waiting, &kept{Event: c, line: strings.TrimSuffix(string(f.lines.Append(nil, c)), "\n")})
	})
	return nil
}

// setFilter has the session let through only what passes from now on. The last one that was set counts, however the commands run.
func (f *feed) setFilter(flt *pfilter.Filter) tea.Cmd {
	f.mu.Lock()
	f.filter = flt
	f.mu.Unlock()
	if f.session == nil {
		return nil
	}
	return func() tea.Msg {
		f.mu.Lock()
		flt := f.filter
		f.mu.Unlock()
		f.session.SetFilter(flt)
		return nil
	}
}

// next waits for the next batch.
func (f *feed) next() tea.Msg {
	<-f.more
	f.mu.Lock()
	wait := feedEvery - time.Since(f.last)
	f.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-f.ctx.Done():
		}
	}
	m := feedMsg{feed: f}
	if f.session != nil {
		for _, c := range f.session.Counts() {
			m.dropped += c.Dropped
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.packets, m.notes, m.seen, m.skipped, m.done, m.err = f.waiting, f.notes, f.seen, f.skipped, f.done, f.err
	f.waiting, f.notes, f.last = nil, nil, time.Now()
	return m
}
