package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxAtOnce is how many attempts of one probe wait at once: a descriptor each.
const maxAtOnce = 256

// errInterrupted is an attempt that the context ended: nothing is known of it.
var errInterrupted = errors.New("interrupted")

// repeat makes attempts Interval apart, as many as Count says or until For has passed, and waits for all. One that still
// waits does not delay the next, unless serial: a fixed local port can be used by one at a time. The error is what kept the
// first from asking; a later one is an attempt that failed.
func (r *Result) repeat(ctx context.Context, o Options, serial bool, one func(ctx context.Context, seq int) (Attempt, error)) error {
	count := o.Count
	var end time.Time
	if o.For > 0 {
		end = time.Now().Add(o.For)
		var cancel context.CancelFunc
		// What waits has its own deadline (see deadline); this one is for what does not look at it.
		ctx, cancel = context.WithDeadline(ctx, end.Add(time.Second))
		defer cancel()
	} else if count == 0 {
		count = 1
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	slots := make(chan struct{}, maxAtOnce)
	if serial {
		slots = make(chan struct{}, 1)
	}
	pace, next := o.pace(), time.Now()
	run := func(seq int) {
		defer wg.Done()
		defer func() { <-slots }()
		a, err := one(ctx, seq)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
			return
		case err != nil && seq == 0:
			failed = err
			return
		case err != nil:
			a = Attempt{Seq: seq, At: time.Now(), Class: Failed, Reason: err.Error()}
		}
		r.add(o, a)
	}
	for seq := 0; count == 0 || seq < count; seq++ {
		if sleep(ctx, time.Until(next)) != nil || !end.IsZero() && !time.Now().Before(end) {
			break
		}
		next = next.Add(o.Interval)
		if now := time.Now(); next.Before(now) {
			next = now
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if pace.Wait(ctx) != nil {
			break
		}
		wg.Add(1)
		go run(seq)
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
	}
	wg.Wait()
	slices.SortStableFunc(r.Attempts, func(a, b Attempt) int { return a.Seq - b.Seq })
	if len(r.Attempts) == 0 {
		return failed
	}
	return nil
}

// deadline is until when an attempt that starts now waits: its own time, and not past that of the whole probe.
func (r *Result) deadline(o Options) time.Time {
	at := time.Now().Add(o.Timeout)
	if end := r.Started.Add(o.For); o.For > 0 && end.Before(at) {
		return end
	}
	return at
}

// interrupted ends a result that has no attempt.
func (r *Result) interrupted() *Result {
	return r.end(Timeout, fmt.Sprintf("interrupted after %v, before anything was known", Millis(time.Since(r.Started))))
}

// openError says what kept a probe from its socket: an option that cannot be is an [OptionError], a missing right a
// [NeedsError].
func openError(kind string, from *From, o Options, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODEV):
		return optionf("%s has no interface %s", from.Name, o.Iface)
	case errors.Is(err, unix.EADDRNOTAVAIL) && o.Src.IsValid():
		return optionf("%s has no address %v", from.Name, o.Src)
	case errors.Is(err, unix.EADDRINUSE) && o.SrcPort != 0:
		return optionf("port %d is in use in %s", o.SrcPort, from.Name)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return optionf("%s has no IPv6, or the source address is of another family", from.Name)
	case errors.Is(err, unix.EACCES) && o.SrcPort != 0:
		return &NeedsError{Probe: kind, From: from.Name, Needs: "CAP_NET_BIND_SERVICE", Why: fmt.Sprintf("local port %d", o.SrcPort), Err: err}
	case errors.Is(err, unix.EPERM) && errors.Is(err, fs.ErrPermission) && o.Iface != "":
		return &NeedsError{Probe: kind, From: from.Name, Needs: "CAP_NET_RAW", Why: "sending by an interface, before Linux 5.7", Err: err}
	}
	return fmt.Errorf("%s from %s: %w", kind, from.Name, err)
}
