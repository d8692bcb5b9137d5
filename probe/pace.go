package probe

import (
	"context"
	"sync"
	"time"
)

// MaxRate is how many packets a second all probes that share a [Pacer] send at most.
const MaxRate = 1000

// Pacer spaces packets evenly: at most MaxRate a second, whatever asks. It is safe for concurrent use.
type Pacer struct {
	mu   sync.Mutex
	next time.Time
	gap  time.Duration
}

// NewPacer makes one for a rate in packets a second.
func NewPacer(rate int) *Pacer { return &Pacer{gap: time.Second / time.Duration(max(1, rate))} }

// Wait returns when the next packet may go, or with the context's error.
func (p *Pacer) Wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(p.gap)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// pace is the shared pacer, or one of the probe's own.
func (o Options) pace() *Pacer {
	if o.Pace != nil {
		return o.Pace
	}
	return NewPacer(MaxRate)
}

// sleep waits for d or the context's end.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
