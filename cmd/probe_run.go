package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/nscope/nscope/probe"
	"github.com/nscope/nscope/topo"
)

// probe runs a probe from all that FROM means and prints what it found.
func (a *app) probe(ctx context.Context, kind *probeKind, f *probeFlags, o probe.Options, from string, d dest) error {
	s, err := a.setScene(ctx, kind.depth, direct(from))
	if err != nil {
		return err
	}
	defer s.close()
	askers, group, err := s.askers(ctx, from)
	if err != nil {
		return err
	}
	to, note, err := d.node(s)
	if err != nil {
		return s.missing(d.host, err)
	}
	if note != "" && kind.name != "dns" && (a.verbose || a.isTerminal(a.err)) {
		fmt.Fprintf(a.err, "nscope: note: %s\n", oneLine(note))
	}
	jobs := make([]job, len(askers))
	pace := probe.NewPacer(probe.MaxRate)
	for i, k := range askers {
		jobs[i] = job{probeFlags: f, from: k.from, o: o}
		jobs[i].o.Pace = pace
		if s.g != nil && k.node != nil {
			jobs[i].o.Names = &probeNames{g: s.g, from: k.node}
		}
		if jobs[i].to, err = s.target(ctx, d, to, k); err != nil {
			return err
		}
		if err := kind.furnish(ctx, s, k, &jobs[i], to); err != nil {
			return err
		}
	}
	if f.watch {
		return a.watch(ctx, kind, jobs, group)
	}
	results, err := a.runJobs(ctx, kind, jobs, true)
	if e := a.printResults(results, group); e != nil {
		return e
	}
	return verdict(results, err)
}

// furnish adds what only some kinds need.
func (kind *probeKind) furnish(ctx context.Context, s *scene, k asker, j *job, to *topo.Node) error {
	switch kind.name {
	case "dns", "all", "http":
		s.upstream(ctx, k)
		if kind.name == "all" {
			k.from.Links = s.links(k.node)
		}
	case "bench":
		if to == nil || j.to.Port != 0 {
			return nil // somebody listens there
		}
		l, err := locate(s.g, to)
		if err != nil {
			return nil // a service: the probe says what it needs
		}
		j.to.NS, err = s.handle(ctx, l.id, l.name)
		return err
	}
	return nil
}

// shown is a result with whether its attempts were shown as they came.
type shown struct {
	*probe.Result
	live bool
}

// runJobs runs all at once. The error is the worst that kept one from asking; the results of the others are there.
func (a *app) runJobs(ctx context.Context, kind *probeKind, jobs []job, live bool) ([]shown, error) {
	results := make([]shown, len(jobs))
	errs := make([]error, len(jobs))
	p := a.spinner(ctx, "probing")
	live = live && len(jobs) == 1 && a.live(kind, jobs[0])
	if live {
		jobs[0].o.Each = func(t probe.Attempt) {
			if line := probe.Line(kind.name, t); line != "" {
				p.clear()
				fmt.Fprintln(a.out, oneLine(line))
				results[0].live = true
			}
		}
	}
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() { results[i].Result, errs[i] = kind.run(ctx, jobs[i]) })
	}
	wg.Wait()
	p.end()
	if len(jobs) > 1 { // each said for itself
		for i, err := range errs {
			if err != nil {
				fmt.Fprintf(a.err, "nscope: %s: %s\n", jobs[i].from.Name, oneLine(err.Error()))
			}
		}
		return results, worst(errs, true)
	}
	return results, worst(errs, false)
}

// live tells whether attempts are shown as they come: to a person always where there may be several, into a pipe for the
// kinds whose lines others read.
func (a *app) live(kind *probeKind, j job) bool {
	if a.output != "text" {
		return false
	}
	if kind.lines {
		return true
	}
	return a.isTerminal(a.out) && (j.o.Count > 1 || j.o.For > 0)
}

// worst is the error with the highest exit code; told errors need no second message.
func worst(errs []error, told bool) error {
	var out error
	code := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if c := exitCode(err); out == nil || c > code {
			out, code = err, c
		}
	}
	if out != nil && told {
		return exitError(code)
	}
	return out
}

// exitCode is the exit code of an error.
func exitCode(err error) int {
	var usage *usageError
	var option *probe.OptionError
	switch {
	case errors.As(err, &usage), errors.As(err, &option):
		return exitUsage
	case errors.Is(err, fs.ErrPermission):
		return exitDenied
	}
	return exitFailed
}

// verdict is the exit of results: the error, or failed where one is not ok.
func verdict(results []shown, err error) error {
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Result != nil && !r.OK {
			return exitError(exitFailed)
		}
	}
	return nil
}

// printResults prints results in the order of the members.
func (a *app) printResults(results []shown, group bool) error {
	data := []*probe.Result{}
	for _, r := range results {
		if r.Result != nil {
			data = append(data, r.Result)
		}
	}
	if a.output != "text" {
		if group {
			_, err := a.print(data)
			return err
		}
		for _, r := range data {
			if _, err := a.print(r); err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range results {
		if r.Result != nil {
			if err := a.printText(r); err != nil {
				return err
			}
		}
	}
	if group && len(data) > 1 {
		ok := 0
		for _, r := range data {
			if r.OK {
				ok++
			}
		}
		fmt.Fprintf(a.out, "%d of %d ok\n", ok, len(results))
	}
	return nil
}

// printText prints a result. What was shown as it came is not said twice.
func (a *app) printText(r shown) error {
	x := *r.Result
	if r.live {
		x.Attempts = nil
	}
	var b bytes.Buffer
	x.Text(&b)
	_, err := fmt.Fprint(a.out, oneLine(b.String()))
	return err
}

// watch repeats until the context ends: a line, or with -o json a document in one line, for each round.
func (a *app) watch(ctx context.Context, kind *probeKind, jobs []job, group bool) error {
	every := max(jobs[0].o.Interval, time.Second)
	if d := jobs[0].o.For; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	for i := range jobs {
		// The interval is that of the rounds, the count that of one.
		jobs[i].o.Interval, jobs[i].o.For, jobs[i].o.Count = 0, 0, max(jobs[i].o.Count, 1)
	}
	rounds, good := 0, 0
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		began := time.Now()
		results, err := a.runJobs(ctx, kind, jobs, false)
		if ctx.Err() != nil && rounds > 0 {
			break // the round was cut short
		}
		if err != nil {
			return err
		}
		rounds++
		if verdict(results, nil) == nil {
			good++
		}
		if err := a.printRound(began, results, group); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
			continue
		}
		break
	}
	if a.output == "text" {
		fmt.Fprintf(a.out, "%d rounds, %d ok\n", rounds, good)
	}
	if good < rounds {
		return exitError(exitFailed)
	}
	return nil
}

func (a *app) printRound(at time.Time, results []shown, group bool) error {
	for _, r := range results {
		if r.Result == nil {
			continue
		}
		var err error
		switch a.output {
		case "text":
			_, err = fmt.Fprintf(a.out, "%s %s\n", at.Format("15:04:05"), oneLine(r.Headline()))
		case "json":
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			err = enc.Encode(r.Result)
		default:
			if _, err = fmt.Fprintln(a.out, "---"); err == nil {
				_, err = a.print(r.Result)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spinner shows on a terminal's standard error that something goes on, and goes away.
type spinner struct {
	a       *app
	what    string
	mu      sync.Mutex
	shown   bool
	text    string
	stop    chan struct{}
	stopped sync.WaitGroup
}

func (a *app) spinner(ctx context.Context, what string) *spinner {
	p := &spinner{a: a, what: what, stop: make(chan struct{})}
	if !a.isTerminal(a.err) || os.Getenv("TERM") == "dumb" {
		return p
	}
	start := time.Now()
	p.stopped.Go(func() {
		t := time.NewTicker(500 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-t.C:
				p.mu.Lock()
				fmt.Fprintf(a.err, "\r\x1b[K%s … %s%.0f s", what, p.text, time.Since(start).Seconds())
				p.shown = true
				p.mu.Unlock()
			}
		}
	})
	return p
}

// say sets what is shown beside the time.
func (p *spinner) say(text string) {
	p.mu.Lock()
	p.text = text
	p.mu.Unlock()
}

// clear takes the line away until the next tick.
func (p *spinner) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.a.err, "\r\x1b[K")
		p.shown = false
	}
}

func (p *spinner) end() {
	close(p.stop)
	p.stopped.Wait()
	p.clear()
}
