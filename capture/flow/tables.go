package flow

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo/render"
)

// FlowTable are at most n conversations (0: all) as rows.
func (r *Report) FlowTable(n int) render.Table {
	t := render.Table{Columns: []render.Column{{Name: "WHO", Min: 16}, {Name: "PROTO", Rank: 1, Min: 13}, {Name: "PACKETS", Rank: 2, Right: true}, {Name: "BYTES", Rank: 3, Right: true, Min: 9}, {Name: "RATE", Rank: 4, Right: true, Min: 11}, {Name: "AT", Rank: 6}, {Name: "NOTES", Rank: 5, Below: true}}}
	for i := range r.Flows[:first(n, len(r.Flows))] {
		f := &r.Flows[i]
		proto := f.Proto
		if f.VNI != nil {
			proto += fmt.Sprintf(" vni %d", *f.VNI)
		}
		if f.VLAN != 0 {
			proto += fmt.Sprintf(" vlan %d", f.VLAN)
		}
		t.Rows = append(t.Rows, []string{f.A.who() + " → " + f.B.who(), proto, both(f.A.Packets, f.B.Packets), text.Size(f.A.Bytes + f.B.Bytes), rateText(f.Rate), at(f.At, f.SeenAt), strings.Join(f.notes(), ", ")})
	}
	return t
}

// PairTable are at most n pairs (0: all) as rows.
func (r *Report) PairTable(n int) render.Table {
	t := render.Table{Columns: []render.Column{{Name: "WHO", Min: 16}, {Name: "FLOWS", Rank: 3, Right: true}, {Name: "PACKETS", Rank: 1, Right: true}, {Name: "BYTES", Rank: 2, Right: true, Min: 9}, {Name: "RATE", Rank: 4, Right: true, Min: 11}, {Name: "AT", Rank: 6}, {Name: "NOTES", Rank: 5, Below: true}}}
	for i := range r.Pairs[:first(n, len(r.Pairs))] {
		p := &r.Pairs[i]
		t.Rows = append(t.Rows, []string{p.A.who() + " ↔ " + p.B.who(), strconv.FormatUint(p.Flows, 10), both(p.A.Packets, p.B.Packets), text.Size(p.A.Bytes + p.B.Bytes), rateText(p.Rate), at(p.At, p.SeenAt), strings.Join(p.notes(), ", ")})
	}
	return t
}

// Summary is a line of all together.
func (r *Report) Summary() string {
	out := fmt.Sprintf("%d packets, %s in %s", r.Packets, text.Size(r.Bytes), text.Span(time.Duration(r.Seconds*1e9)))
	if r.Seconds >= 0.001 { // of less it says nothing
		out += ", " + text.Rate(float64(r.Bytes)*8/r.Seconds)
	}
	for i, p := range r.Protocols {
		if i == 6 {
			return out + ", …"
		}
		out += fmt.Sprintf(", %s %d", p.Name, p.Packets)
	}
	return out
}

// Left says what the tables do not show, "" for nothing.
func (r *Report) Left() string {
	out := ""
	if r.Gone > 0 {
		out = fmt.Sprintf("%d conversations that were quiet for longest are no longer listed: there were too many", r.Gone)
	}
	if r.Unpaired != nil {
		out += fmt.Sprintf("; %d packets are in no pair, likewise", r.Unpaired.Packets)
	}
	return strings.TrimPrefix(out, "; ")
}

func first(n, of int) int {
	if n <= 0 {
		return of
	}
	return min(n, of)
}

func (e *End) who() string {
	name := e.Name
	if name == "" {
		name = e.Addr
	}
	if e.Port == 0 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(e.Port)))
}

func both(a, b uint64) string { return fmt.Sprintf("%d/%d", a, b) }

func rateText(bits float64) string {
	if bits == 0 {
		return "-"
	}
	return text.Rate(bits)
}

func at(place string, seen int) string {
	if seen > 1 {
		return fmt.Sprintf("%s +%d", place, seen-1)
	}
	return place
}

func micros(us float64) string { return text.Span(time.Duration(us * 1e3)) }

func (t *Times) mean(what string) string {
	if t == nil {
		return ""
	}
	if t.N == 1 {
		return what + " " + micros(t.Mean)
	}
	return fmt.Sprintf("%s %s (most %s)", what, micros(t.Mean), micros(t.Max))
}

// notes are what is to be said of a conversation.
func (f *Flow) notes() (out []string) {
	say := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	if f.Handshake > 0 {
		say("handshake " + micros(f.Handshake))
	}
	switch f.State {
	case "syn", "reset", "closed":
		say(f.State)
	}
	if n := f.A.Retransmitted + f.B.Retransmitted; n > 0 {
		say(share(uint64(n), f.A.Packets+f.B.Packets, "retransmitted"))
	}
	for _, q := range []struct {
		name string
		a    *Asked
	}{{"DNS", f.DNS}, {"echo", f.Echo}} {
		if q.a == nil {
			continue
		}
		say(q.a.Time.mean(q.name))
		if q.a.Unanswered > 0 {
			say(fmt.Sprintf("%d unanswered", q.a.Unanswered))
		}
		if q.a.NoName > 0 {
			say(fmt.Sprintf("%d no such name", q.a.NoName))
		}
		if q.a.Failed > 0 {
			say(fmt.Sprintf("%d failed", q.a.Failed))
		}
	}
	return append(out, f.Hints...)
}

func share(n, of uint64, what string) string {
	return fmt.Sprintf("%d %s (%.2g%%)", n, what, 100*float64(n)/float64(max(of, 1)))
}

func (p *Pair) notes() (out []string) {
	say := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	say(p.Handshake.mean("handshake"))
	if p.Retransmitted > 0 {
		say(share(p.Retransmitted, p.Segments, "retransmitted"))
	}
	if p.Resets > 0 {
		say(fmt.Sprintf("%d resets", p.Resets))
	}
	say(p.DNS.mean("DNS"))
	say(p.Echo.mean("echo"))
	if p.Unanswered > 0 {
		say(fmt.Sprintf("%d unanswered", p.Unanswered))
	}
	if p.Failed > 0 {
		say(fmt.Sprintf("%d failed", p.Failed))
	}
	return append(out, p.Hints...)
}
