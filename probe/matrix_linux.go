package probe

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxMembers keeps the sequence numbers of one who asks, of all attempts, within 16 bits.
	maxMembers = 4096
	// matrixWave is how many questions go at once, and matrixGap how long the next wave waits at most for the answers to
	// this one. A question to a new neighbour is a broadcast to every port of a bridge: without waves the receive
	// queues (net.core.netdev_max_backlog, 1000 packets) overflow and healthy pairs look broken.
	matrixWave = 64
	matrixGap  = 10 * time.Millisecond
	// matrixExtra bounds the time for asking again where ICMP rate limits leave doubt.
	matrixExtra = 1800 * time.Millisecond
	// icmpBurst is how many ICMP errors a whole kernel or namespace sends at once (net.ipv4.icmp_msgs_burst is 50; some may
	// go to others); above it silence anywhere is not certain.
	icmpBurst = 40
)

// question is one pair of a matrix on its way to a cell. The matrix's mutex guards it.
type question struct {
	cell  Cell
	addr  netip.Addr
	known bool // the cell has its class
	full  bool // it was not sent, for lack of room in the neighbour table
	sent  int  // attempts
	at    time.Time
}

// asker is a member that asks.
type asker struct {
	from *From
	qs   []*question
	// errors counts the ICMP errors that somebody else than the one asked sent in this round, and last is when.
	errors int
	by     netip.Addr
	last   time.Time
	// control is a question that brought such an error. Asked again after what is in doubt, its error is the proof that
	// the sender had not used up what it may send.
	control *question
	proof   bool
	failed  error // what kept it from asking
}

// matrix is a run.
type matrix struct {
	o    Options
	m    MatrixOptions
	asks []*asker
	// table is the host's neighbour table.
	table  *neighTable
	waited time.Duration // for room in it

	mu   sync.Mutex
	open int // questions without a class
	all  int
	icmp int  // ICMP errors in this round
	full bool // a neighbour table was full
}

// Matrix asks from every member every other one: with pings, or a TCP connection to one port. Pairs within one namespace
// are left out. Each silent pair is asked twice within the timeout (o.Count says otherwise), by default 1 s. The
// limit of [MaxRate] does not hold here.
//
// Kernels send few ICMP errors to one address (6 at once, then one a second): where somebody who sent such errors may owe
// more, the silent pairs are asked again, up to 1.8 s longer, and are NotCertain when that did not settle it. Where the
// kernel's neighbour table is full, what could not be asked waits until there is room again, some 40 s for 1,000 pairs; it gives
// up where there is none for 60 s.
//
// The error is a [NeedsError] where no member could ask for lack of privileges, an [OptionError] for options that cannot be.
// A member that could not ask alone, because its namespace is gone or not open to pings, has cells of the class Failed. A
// context that ends leaves the pairs out that are not known by then.
func Matrix(ctx context.Context, members []Member, o Options, m MatrixOptions) (*MatrixResult, error) {
	started := time.Now()
	o.Timeout = or(o.Timeout, time.Second)
	o.Count = min(or(max(o.Count, 0), 2), 8)
	switch {
	case len(members) > maxMembers:
		return nil, optionf("matrix of %d members: %d is the limit", len(members), maxMembers)
	case o.SrcPort != 0:
		return nil, optionf("matrix asks from many sockets at once: they cannot share a source port")
	case o.Size > 65507-icmpHeader:
		return nil, optionf("size %d: at most %d", o.Size, 65507-icmpHeader)
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	x := &matrix{o: o, m: m}
	if err := x.resolve(ctx, members); err != nil {
		return nil, err
	}
	var err error
	if m.TCP != 0 {
		err = x.run(ctx, x.connectAll)
	} else {
		err = x.pings(ctx)
	}
	if err != nil {
		return nil, err
	}
	r := x.result(members)
	r.TookMS = Millis(time.Since(started))
	return r, nil
}

// resolve makes the questions: which address each asks for whom.
func (x *matrix) resolve(ctx context.Context, members []Member) error {
	var wg sync.WaitGroup
	x.asks = make([]*asker, len(members))
	for i, a := range members {
		if a.From == nil || a.From.NS == nil {
			return optionf("member %d has no namespace", i)
		}
		x.asks[i] = &asker{from: a.From}
		var names []*question
		var tos []To
		for j, b := range members {
			if i == j || b.From != nil && b.From.NS != nil && a.From.NS.ID() == b.From.NS.ID() {
				continue
			}
			q := &question{cell: Cell{From: i, To: j}}
			x.asks[i].qs = append(x.asks[i].qs, q)
			x.open++
			x.all++
			to := b.To(i)
			if len(to.Addrs) == 0 && to.Host != "" {
				names, tos = append(names, q), append(tos, to)
				continue
			}
			x.target(ctx, a.From, q, to)
		}
		if len(names) > 0 { // asks a name server: each member one name at a time
			wg.Go(func() {
				for k, q := range names {
					x.target(ctx, a.From, q, tos[k])
				}
			})
		}
	}
	wg.Wait()
	return nil
}

func (x *matrix) target(ctx context.Context, from *From, q *question, to To) {
	r := newResult("matrix", from, to, x.o)
	addr, ok, err := from.target(ctx, &to, x.o, r)
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		x.settle(q, Cell{Class: NotFound, Reason: err.Error()})
	case !ok:
		x.settle(q, Cell{Class: r.Class, Reason: r.Summary})
	default:
		q.addr = addr
		q.cell.Addr = addr.String()
	}
}

// silent are the questions that were asked and have no answer.
func (x *matrix) silent(of func(*asker) bool) (qs []*question) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range x.asks {
		if of != nil && !of(a) {
			continue
		}
		for _, q := range a.qs {
			if !q.known && q.addr.IsValid() {
				qs = append(qs, q)
			}
		}
	}
	return qs
}

// ask sends questions, each as often as it is told, and returns when all are answered or the time is over, or at once when
// a neighbour table is full.
type ask func(ctx context.Context, qs []*question, times int, timeout time.Duration) error

// run asks everything, then again what is in doubt.
func (x *matrix) run(ctx context.Context, ask ask) error {
	x.table = newNeighTable(x.asks)
	if err := ask(ctx, x.inTurns(), x.o.Count, x.o.Timeout); err != nil {
		return err
	}
	if err := x.whileFull(ctx, ask); err != nil {
		return err
	}
	until := time.Now().Add(matrixExtra)
	for round := 0; round < 2 && ctx.Err() == nil; round++ {
		// Somebody who sent errors may owe some, and the kernel limits them all together too.
		x.mu.Lock()
		wholesale := x.icmp >= icmpBurst
		var last time.Time
		for _, a := range x.asks {
			if a.last.After(last) {
				last = a.last
			}
		}
		x.mu.Unlock()
		doubt := x.silent(func(a *asker) bool { return wholesale || a.errors > 0 })
		if len(doubt) == 0 {
			break
		}
		x.mu.Lock()
		for _, q := range doubt {
			q.cell.NotCertain = x.why(x.asks[q.cell.From])
		}
		x.mu.Unlock()
		// One more error may be sent a second after the last one (net.ipv4.icmp_ratelimit is 1000 ms).
		next := last.Add(1050 * time.Millisecond)
		wait := min(x.o.Timeout, 400*time.Millisecond)
		if next.Add(wait).After(until) || sleep(ctx, time.Until(next)) != nil {
			break
		}
		var again []*question
		x.mu.Lock()
		owes := make([]bool, len(x.asks))
		for i, a := range x.asks {
			owes[i] = a.errors > 0
			a.proof = false
			if owes[i] && a.control != nil {
				again = append(again, a.control)
			}
		}
		x.icmp, x.full = 0, false
		x.mu.Unlock()
		if err := ask(ctx, append(doubt, again...), 1, wait); err != nil || ctx.Err() != nil {
			return err
		}
		x.mu.Lock()
		for _, q := range doubt {
			a := x.asks[q.cell.From]
			if !q.known && x.icmp < icmpBurst && (a.proof || !owes[q.cell.From]) {
				q.cell.NotCertain = ""
			}
		}
		for _, a := range x.asks {
			if a.proof {
				a.errors = 0
			}
		}
		x.mu.Unlock()
	}
	return nil
}

// matrixFull is how long a matrix waits for room in a full neighbour table, when nothing moves.
const matrixFull = 60 * time.Second

// whileFull asks what is open again as long as the kernel's neighbour table has no room. The table is one for all namespaces
// (gc_thresh3, 1024 entries unless the host's administrator raised it): 33 members of one bridge fill it. A neighbour that
// was just used is not collected before it is stale, after 15 to 45 s (neigh_forced_gc in net/core/neighbour.c).
func (x *matrix) whileFull(ctx context.Context, ask ask) error {
	began, open := time.Now(), 0
	var until time.Time
	for x.isFull() && ctx.Err() == nil {
		qs := x.silent(nil)
		x.waited = time.Since(began)
		if len(qs) != open {
			open, until = len(qs), time.Now().Add(matrixFull)
		}
		if len(qs) == 0 {
			break
		}
		if time.Now().After(until) || sleep(ctx, 3*time.Second) != nil {
			if ctx.Err() != nil {
				break
			}
			x.mu.Lock()
			for _, q := range qs {
				if q.full || q.sent == 0 {
					x.settleLocked(q, Cell{Class: Failed, Reason: "not asked: the host's neighbour table is full (" + q.table() + ")"})
				} else {
					q.cell.NotCertain = "the host's neighbour table was full (" + q.table() + "): the answer may have been dropped for that"
				}
			}
			x.mu.Unlock()
			return nil
		}
		x.forget()
		if err := ask(ctx, qs, x.o.Count, x.o.Timeout); err != nil {
			return err
		}
		x.waited = time.Since(began)
	}
	return nil
}

// table is the setting that limits the neighbours of its family.
func (q *question) table() string {
	if q.addr.Is6() {
		return "net.ipv6.neigh.default.gc_thresh3"
	}
	return "net.ipv4.neigh.default.gc_thresh3"
}

// forget begins a new round: what came before is no reason for doubt any more.
func (x *matrix) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.icmp, x.full = 0, false
	for _, a := range x.asks {
		a.errors = 0
	}
}

func (x *matrix) why(a *asker) string {
	if a.errors > 0 && a.by.IsValid() {
		return fmt.Sprintf("%v sent ICMP errors for others, and kernels limit them: it may have held back one for this", a.by)
	}
	return "ICMP errors came for others, and kernels limit them: one for this may have been held back"
}

// inTurns are all questions in the order in which they are asked: nobody asks or is asked twice in a row, and who was asked
// asks back next, when both have resolved their neighbour.
func (x *matrix) inTurns() []*question {
	n := len(x.asks)
	at := make([]map[int]*question, n)
	for i, a := range x.asks {
		at[i] = make(map[int]*question, len(a.qs))
		for _, q := range a.qs {
			at[i][q.cell.To] = q
		}
	}
	qs := make([]*question, 0, x.all)
	add := func(i, j int) {
		if q := at[i][j]; q != nil && q.addr.IsValid() && !q.known {
			qs = append(qs, q)
		}
	}
	for shift := 1; 2*shift <= n; shift++ {
		for i := range n {
			j := (i + shift) % n
			if 2*shift == n && i >= shift { // the same pairs again
				break
			}
			add(i, j)
			add(j, i)
		}
	}
	return qs
}
