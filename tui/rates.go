package tui

import (
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// samples is how many rates of a link are kept for its sparkline.
const samples = 24

// rates turns counters into packets, bytes and drops per second.
type rates struct{ links map[string]*history }

// history is what is known of one link: its last counters and the last rates, the newest last.
type history struct {
	at   time.Time
	last snapshot.LinkStats
	past []rate
}

// rate is per second, both directions together.
type rate struct{ packets, bytes, drops float64 }

func (r rate) plus(o rate) rate {
	return rate{r.packets + o.packets, r.bytes + o.bytes, r.drops + o.drops}
}

func newRates() *rates { return &rates{links: map[string]*history{}} }

// add takes counters in. A link whose counters went back is another one under the same id: its history starts anew.
func (r *rates) add(c *Counters) {
	for id, st := range c.Links {
		h := r.links[id]
		if h == nil {
			r.links[id] = &history{at: c.At, last: st}
			continue
		}
		secs := c.At.Sub(h.at).Seconds()
		if secs <= 0 {
			continue
		}
		if st.RxPackets < h.last.RxPackets || st.TxPackets < h.last.TxPackets {
			*h = history{at: c.At, last: st}
			continue
		}
		per := func(now, then uint64) float64 {
			if now < then {
				return 0
			}
			return float64(now-then) / secs
		}
		x := rate{
			per(st.RxPackets+st.TxPackets, h.last.RxPackets+h.last.TxPackets),
			per(st.RxBytes+st.TxBytes, h.last.RxBytes+h.last.TxBytes),
			per(st.RxDropped+st.TxDropped, h.last.RxDropped+h.last.TxDropped),
		}
		if len(h.past) == samples {
			copy(h.past, h.past[1:])
			h.past = h.past[:samples-1]
		}
		h.at, h.last, h.past = c.At, st, append(h.past, x)
	}
}

// keep forgets links that are gone.
func (r *rates) keep(has func(id string) bool) {
	for id := range r.links {
		if !has(id) {
			delete(r.links, id)
		}
	}
}

// of sums the newest rates of links; ok is false where none is known yet.
func (r *rates) of(ids []string) (sum rate, ok bool) {
	for _, id := range ids {
		if h := r.links[id]; h != nil && len(h.past) > 0 {
			sum, ok = sum.plus(h.past[len(h.past)-1]), true
		}
	}
	return sum, ok
}

// past are the last n packet rates of links, summed, the newest last.
func (r *rates) past(ids []string, n int) []float64 {
	out := make([]float64, n)
	some := false
	for _, id := range ids {
		h := r.links[id]
		if h == nil {
			continue
		}
		for i := 1; i <= min(n, len(h.past)); i++ {
			out[n-i] += h.past[len(h.past)-i].packets
			some = true
		}
	}
	if !some {
		return nil
	}
	return out
}

// sparkline draws values as bars, the highest as the highest.
func (l *look) sparkline(values []float64) string {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	bars := make([]rune, len(values))
	for i, v := range values {
		switch {
		case v <= 0 || most == 0:
			bars[i] = ' '
		default:
			bars[i] = l.spark[min(int(v/most*float64(len(l.spark))), len(l.spark)-1)]
		}
	}
	return string(bars)
}
