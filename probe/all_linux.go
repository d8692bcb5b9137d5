package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what All tries.
const (
	allPings = 3
	allNames = 3
	allPorts = 16
)

// All tries what a person would try, in that order: the way out, ping, the names, TO's TCP ports, the largest packet. The
// summary begins with the first that fails, said as its cause where that is known; Steps are the single results. What does not
// depend on each other is asked at once.
func All(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	if o.Pace == nil {
		o.Pace = NewPacer(MaxRate)
	}
	each := o.Each
	o.Each = nil
	r := newResult("all", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil {
		return nil, err
	}
	if !ok {
		r.Summary = "dns: " + r.Summary
		return r, nil
	}
	w, err := from.look(addr)
	if err != nil {
		return nil, err
	}
	r.From.Addr = or(o.Src, w.route.PrefSrc)
	known := to
	known.Addrs = []netip.Addr{addr}

	a := &all{from: from, to: known, o: o, r: r, way: w, addr: addr, each: each}
	a.r.Steps = append(a.r.Steps, a.wayStep())
	if w.err == nil {
		if err := a.ask(ctx); err != nil {
			return nil, err
		}
	} else if err := a.names(ctx, to); err != nil { // the resolver may still be there
		return nil, err
	}
	return a.judge(ctx), nil
}

// all is one run.
type all struct {
	from *From
	to   To // with the one address that is asked
	o    Options
	r    *Result
	way  *way
	addr netip.Addr
	each func(Attempt)
}

// run makes a step of a probe. What kept it from asking is a failed step too, except where nobody was allowed anything.
func (a *all) run(kind string, f func() (*Result, error)) *Result {
	begun := time.Now()
	s, err := f()
	if err != nil {
		s = newResult(kind, a.from, a.to, a.o)
		s.Started = begun
		s.end(Failed, err.Error())
		var needs *NeedsError
		if errors.As(err, &needs) {
			s.Class = Denied
			s.NotCertain = "not tried"
		}
	}
	return s
}

// wayStep says how FROM's kernel sends there.
func (a *all) wayStep() *Result {
	s := newResult("way", a.from, a.to, a.o)
	s.To.Addr = a.addr
	s.end(OK, a.way.text(a.o.nameOf))
	if a.way.err != nil {
		class, _ := classifyErr(a.way.err)
		s.end(class, a.way.odd(a.addr, a.o.nameOf))
	}
	return s
}

// ask runs ping, names and ports at once, and then the MTU where there is something to measure it with.
func (a *all) ask(ctx context.Context) error {
	var wg sync.WaitGroup
	var ping *Result
	var dns, tcp []*Result
	wg.Go(func() {
		o := a.o
		o.Count = or(o.Count, allPings)
		ping = a.run("ping", func() (*Result, error) { return Ping(ctx, a.from, a.to, o) })
	})
	wg.Go(func() { dns = a.askNames(ctx, a.to) })
	ports := a.ports()
	tcp = make([]*Result, len(ports))
	for i, p := range ports {
		wg.Go(func() {
			to, o := a.to, a.o
			to.Port, o.Count, o.Size = p.Port, 1, 0
			tcp[i] = a.run("tcp", func() (*Result, error) { return TCP(ctx, a.from, to, o) })
		})
	}
	wg.Wait()
	a.r.Steps = append(append(append(a.r.Steps, ping), dns...), tcp...)
	if ping.OK && ctx.Err() == nil {
		o := a.o
		o.Count, o.Size, o.Interval = 0, 0, 0
		a.r.Steps = append(a.r.Steps, a.run("mtu", func() (*Result, error) { return MTU(ctx, a.from, a.to, o) }))
	}
	return nil
}

// names adds the steps of the names alone.
func (a *all) names(ctx context.Context, to To) error {
	a.r.Steps = append(a.r.Steps, a.askNames(ctx, to)...)
	return nil
}

// askNames asks FROM's resolver for the names that should lead to TO.
func (a *all) askNames(ctx context.Context, to To) []*Result {
	names := to.Names
	if to.Host != "" && !slices.Contains(names, to.Host) {
		names = append([]string{to.Host}, names...)
	}
	names = names[:min(len(names), allNames)]
	out := make([]*Result, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { out[i] = a.askName(ctx, name) })
	}
	wg.Wait()
	return out
}

// askName is one name: it should resolve, and to an address of TO.
func (a *all) askName(ctx context.Context, name string) *Result {
	s := newResult("dns", a.from, To{Asked: name, Host: name}, a.o)
	got, err := a.from.Lookup(ctx, name, a.o)
	var lookup *LookupError
	switch {
	case errors.As(err, &lookup):
		return s.end(lookup.Class, err.Error())
	case err != nil:
		return s.end(Failed, name+": "+err.Error())
	}
	s.To.Resolved = got
	if len(got) > 0 {
		s.To.Addr = got[0]
	}
	want := append(slices.Clone(a.all()), a.addr)
	if !slices.ContainsFunc(got, func(g netip.Addr) bool { return slices.Contains(want, g.Unmap()) }) {
		return s.end(BadAnswer, fmt.Sprintf("%s resolves to %s, and %s has %s", name, addrList(got), a.to.label(), addrList(want)))
	}
	return s.end(OK, fmt.Sprintf("%s is %s", name, addrList(got)))
}

// all are the addresses that TO is known to have.
func (a *all) all() []netip.Addr { return a.r.To.Resolved }

func addrList(list []netip.Addr) string {
	var out []string
	for _, a := range list {
		if s := a.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	const most = 4
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("%d more", len(out)-most))
	}
	return strings.Join(out, ", ")
}

// ports are the asked one, or all that are known.
func (a *all) ports() []Port {
	if a.to.Port != 0 {
		for _, p := range a.to.Ports {
			if p.Port == a.to.Port {
				return []Port{p}
			}
		}
		return []Port{{Port: a.to.Port}}
	}
	return a.to.Ports[:min(len(a.to.Ports), allPorts)]
}
