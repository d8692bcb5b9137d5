package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// settle gives a question its class, unless it has one.
func (x *matrix) settle(q *question, c Cell) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settleLocked(q, c)
}

func (x *matrix) settleLocked(q *question, c Cell) {
	if q.known {
		return
	}
	c.From, c.To, c.Addr = q.cell.From, q.cell.To, q.cell.Addr
	q.cell, q.known = c, true
	x.open--
	if x.m.Done != nil {
		x.m.Done(x.all-x.open, x.all)
	}
}

// refused settles a question by an error of the system, or an ICMP error.
func (x *matrix) refused(q *question, e *icmpError, err error, took time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.asks[q.cell.From]
	if q.known {
		a.proof = a.proof || q == a.control
		return
	}
	c := Cell{MS: Millis(took)}
	if e == nil {
		c.Class, c.Reason = classifyErr(err)
		if errors.Is(err, unix.ENOBUFS) { // no class yet: it is asked again
			x.full, q.full = true, true
			return
		}
		if x.m.TCP != 0 && (c.Class == Unreachable || c.Class == NoRoute) {
			// An ICMP error perhaps, of which this kernel keeps no more; then it may have been a firewall's too.
			a.errors++
			a.last, a.control = time.Now(), q
		}
		x.settleLocked(q, c)
		return
	}
	c.Class, c.Reason = e.classify()
	if !e.local() {
		x.icmp++
		if e.by != q.addr {
			a.errors++
			a.by, a.last, a.control = e.by, time.Now(), q
		}
		if e.by.IsValid() {
			c.By = e.by.String()
		}
	}
	x.settleLocked(q, c)
}

// answered waits until all of these are known, or the time.
func (x *matrix) answered(ctx context.Context, qs []*question, until time.Time) {
	for ctx.Err() == nil {
		x.mu.Lock()
		for len(qs) > 0 && qs[len(qs)-1].known {
			qs = qs[:len(qs)-1]
		}
		x.mu.Unlock()
		left := time.Until(until)
		if len(qs) == 0 || left <= 0 {
			return
		}
		sleep(ctx, min(left, time.Millisecond))
	}
}

// result puts the cells together.
func (x *matrix) result(members []Member) *MatrixResult {
	r := &MatrixResult{Kind: "matrix", By: "ping", Members: []string{}, Addrs: make([]string, len(members)), Cells: []Cell{}, OK: true}
	if x.m.TCP != 0 {
		r.By = fmt.Sprintf("tcp/%d", x.m.TCP)
	}
	asked := make([]map[string]int, len(members))
	for i, m := range members {
		r.Members = append(r.Members, m.From.Name)
		asked[i] = map[string]int{}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.waited > 0 {
		r.Note = fmt.Sprintf("the host's neighbour table has no room for all at once: it waited %.0f s (net.ipv4.neigh.default.gc_thresh3, net.ipv6.neigh.default.gc_thresh3)", x.waited.Seconds())
	}
	for _, a := range x.asks {
		for _, q := range a.qs {
			if q.cell.Addr != "" {
				n := asked[q.cell.To]
				n[q.cell.Addr]++
				if best := r.Addrs[q.cell.To]; n[q.cell.Addr] > n[best] {
					r.Addrs[q.cell.To] = q.cell.Addr
				}
			}
			if !q.known {
				if q.sent == 0 || time.Since(q.at) < x.o.Timeout/2 && q.cell.NotCertain == "" {
					r.Unasked++
					r.OK = false
					continue
				}
				q.cell.Class = Timeout
			}
			r.OK = r.OK && q.cell.Class == OK
			r.Cells = append(r.Cells, q.cell)
		}
	}
	return r
}

// cannot says why a member did not ask, for all its questions.
func (x *matrix) cannot(a *asker, err error) {
	a.failed = err
	for _, q := range a.qs {
		x.settle(q, Cell{Class: Failed, Reason: err.Error()})
	}
}

// nobody is the error of a matrix in which no member could ask, nil where one could.
func (x *matrix) nobody() error {
	var first error
	for _, a := range x.asks {
		if a.failed == nil && len(a.qs) > 0 {
			return nil
		}
		if first == nil {
			first = a.failed
		}
	}
	return first
}

// matrixOpenError makes an error of opening sockets clear.
func matrixOpenError(kind string, from *From, why string, err error) error {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s from %s: too many open files: raise the limit (ulimit -n): %w", kind, from.Name, err)
	case errors.Is(err, fs.ErrPermission) && why != "":
		return &NeedsError{Probe: kind, From: from.Name, Needs: "CAP_NET_RAW", Why: why, Or: "a ping_group_range in its namespace that has this group", Err: err}
	}
	return err
}
