package probe

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// ARP asks who has TO's address on FROM's own links: by ARP (RFC 826), or neighbour solicitation (RFC 4861) where it is IPv6.
// It asks on the links whose subnet has the address, else on Options.Iface or the link that packets to it would leave by. It is
// OK where one hardware address answers, and where nobody else answers for an address of FROM's own. Two that answer are
// [BadAnswer], and so is a permanent entry in FROM's neighbour table that is not who answers.
//
// Count requests (default 3) go out, Interval (200 ms) apart, and answers are collected until Timeout (500 ms) after the last.
// It needs CAP_NET_RAW; the error is an [OptionError] for a link that has no ARP.
func ARP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	r := newResult("arp", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return r, nil
	}
	if o.Src.IsValid() && o.Src.Unmap().Is4() != addr.Is4() {
		return nil, optionf("the source address %v is not of %v's family", o.Src, addr)
	}
	if addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() {
		return nil, optionf("%v is nobody's address on a link", addr)
	}
	w, err := from.look(addr.WithZone(""))
	if err != nil {
		return nil, err
	}
	links, onLink, err := arpLinks(from.Name, w, addr, o)
	if err != nil {
		return nil, err
	}
	addr = addr.WithZone("")
	r.ARP = &ARPAnswers{Links: links, OnLink: onLink, Own: ownAddr(w, addr), Answers: []ARPAnswer{}, Known: []ARPKnown{}}
	if len(links) == 1 {
		r.From.Addr, r.From.Iface = links[0].Src, links[0].Iface
	}
	for _, n := range w.ns.Neighbors {
		if i := slices.IndexFunc(links, func(l ARPLink) bool { return l.Index == n.Ifindex }); i >= 0 && n.Addr == addr && n.State != "none" {
			r.ARP.Known = append(r.ARP.Known, ARPKnown{Iface: links[i].Iface, MAC: n.MAC, State: n.State})
		}
	}
	s, err := from.openNeighbors(addr, links)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	defer s.interruptible(ctx)()
	o.Interval, o.Timeout = or(max(0, o.Interval), arpInterval), or(max(0, o.Timeout), arpTimeout)
	if o.Count == 0 {
		o.Count = arpCount
		if o.For > 0 {
			o.Count = -1
		}
	}
	a := &arpRun{neighborSock: s, o: o, r: r, w: w, open: map[int]*Attempt{}, pace: o.pace()}
	r.Started = time.Now()
	a.run(ctx)
	arpJudge(r, w.gateway(o))
	if ctx.Err() != nil && len(r.ARP.Answers) == 0 && len(r.Attempts) > 0 {
		r.NotCertain = "it was stopped early"
	}
	return r, nil
}

// arpRun is one run.
type arpRun struct {
	*neighborSock
	o    Options
	r    *Result
	w    *way
	pace *Pacer
	seq  int
	// open are the last requests by link that nobody has answered; asked is when each link was last asked.
	open  map[int]*Attempt
	asked map[int]time.Time
}

func (a *arpRun) run(ctx context.Context) {
	a.asked = map[int]time.Time{}
	for n := 0; a.o.Count < 0 || n < a.o.Count; n++ {
		if n > 0 {
			if a.collect(ctx, time.Now().Add(a.o.Interval)); a.o.For > 0 && time.Since(a.r.Started) >= a.o.For {
				break
			}
		}
		for _, l := range a.r.ARP.Links {
			if a.pace.Wait(ctx) != nil {
				return
			}
			a.give(l.Index)
			a.seq++
			x := &Attempt{Seq: a.seq, At: time.Now(), Size: arpLength, Class: Timeout, Detail: l.Iface}
			if a.addr.Is6() {
				x.Size = 40 + ndpLength + 8
				if !l.Src.IsValid() {
					x.Size -= 8
				}
			}
			a.asked[l.Index] = x.At
			if err := a.ask(l); err != nil {
				x.Class, x.Reason = classifyErr(err)
				a.add(*x)
				continue
			}
			a.open[l.Index] = x
		}
	}
	a.collect(ctx, time.Now().Add(a.o.Timeout))
	if ctx.Err() == nil {
		for _, l := range a.r.ARP.Links {
			a.give(l.Index)
		}
	}
}

// give gives up the last request on a link.
func (a *arpRun) give(index int) {
	if x := a.open[index]; x != nil {
		delete(a.open, index)
		x.MS = Millis(time.Since(x.At))
		a.add(*x)
	}
}

// add records an attempt; an endless run forgets the oldest.
func (a *arpRun) add(x Attempt) {
	a.r.add(a.o, x)
	if n := len(a.r.Attempts); a.o.Count < 0 && n >= 2*pingKeep {
		a.r.Attempts = append(a.r.Attempts[:0], a.r.Attempts[n-pingKeep:]...)
	}
}

// collect takes what is said until the deadline.
func (a *arpRun) collect(ctx context.Context, deadline time.Time) {
	for ctx.Err() == nil {
		said, err := a.hear(earlier(deadline, time.Now().Add(200*time.Millisecond)))
		switch {
		case err == nil:
			a.got(said)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			// The link went down: the next request says so.
			if sleep(ctx, time.Millisecond) != nil {
				return
			}
		}
		if err != nil && !time.Now().Before(deadline) {
			return
		}
	}
}

// got counts what somebody said.
func (a *arpRun) got(said saidNeighbor) {
	i := slices.IndexFunc(a.r.ARP.Links, func(l ARPLink) bool { return l.Index == said.index })
	if i < 0 || bytes.Equal(said.mac, make([]byte, 6)) {
		return
	}
	link := a.r.ARP.Links[i]
	if a.r.ARP.Own && said.mac.String() == link.MAC {
		return // its own words come back: a loop, or a bridge in hairpin mode
	}
	asked := a.asked[said.index]
	rtt := Millis(max(0, said.at.Round(0).Sub(asked.Round(0))))
	list := &a.r.ARP.Answers
	k := slices.IndexFunc(*list, func(x ARPAnswer) bool { return x.Iface == link.Iface && x.MAC == said.mac.String() })
	if k < 0 {
		if len(*list) >= arpMACs {
			return
		}
		x := ARPAnswer{Iface: link.Iface, MAC: said.mac.String(), Names: []string{}, MS: rtt, Router: said.router}
		x.Own = slices.ContainsFunc(a.w.ns.Links, func(l snapshot.Link) bool { return l.MAC == x.MAC && l.Index != said.index })
		if a.o.Names != nil {
			x.Names = append(x.Names, a.o.Names.MAC(net.HardwareAddr(said.mac))...)
		}
		k = len(*list)
		*list = append(*list, x)
	}
	x := &(*list)[k]
	if !bytes.Equal(said.frame, said.mac) {
		x.FrameMAC = said.frame.String()
	}
	if !said.answer {
		x.Heard++
		return
	}
	x.Count++
	if open := a.open[said.index]; open != nil {
		delete(a.open, said.index)
		open.Class, open.By, open.MS = OK, a.addr, rtt
		open.Detail = link.Iface + " " + x.who()
		a.add(*open)
	}
}

// gateway is where packets to an address that is on no link of FROM's go, as people read it; "" where they do not.
func (w *way) gateway(o Options) string {
	if w.err != nil || !w.route.Gateway.IsValid() {
		return ""
	}
	return strings.TrimPrefix(w.text(o.nameOf), "by ")
}
