package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func (a *app) capture(ctx context.Context, f *captureFlags, args []string) error {
	targets, words := splitCapture(args)
	expr := strings.Join(words, " ")
	switch {
	case f.expr != "" && expr != "":
		return usagef("the filter stands twice: %q and %q", f.expr, expr)
	case f.expr != "":
		expr = f.expr
	}
	switch {
	case f.read != "" && len(targets) > 0:
		return usagef("-r reads a file: there is no target in it (filter: container %s?)", targets[0])
	case f.read != "" && f.duration > 0:
		return usagef("--for is of the time that is captured: -r reads to the end, or -c packets")
	case f.count < 0 || f.snapLen < 0 || f.maxBytes < 0 || f.duration < 0:
		return usagef("-c, --for, --max-bytes and --snaplen take no negative value")
	case f.fileBytes < 0 || f.fileTime < 0 || f.files < 0:
		return usagef("-C, -G and -W take no negative value")
	case (f.maxBytes > 0 || f.fileBytes > 0 || f.fileTime > 0 || f.files > 0) && f.write == "":
		return usagef("--max-bytes, -C, -G and -W go with -w")
	case (f.fileBytes > 0 || f.fileTime > 0) && f.write == "-":
		return usagef("-C and -G need a file to take turns with: -w FILE")
	case f.files > 0 && f.fileBytes == 0 && f.fileTime == 0:
		return usagef("-W says how many files are kept: when a file ends is said by -C or -G")
	case f.headers && f.noPayload:
		return usagef("--headers-only cuts the payload, --no-payload blanks it: one of them")
	case f.wait && (f.read != "" || f.path || len(targets) == 0):
		return usagef("--wait is for targets: nscope capture web --wait")
	case f.flows && f.stats:
		return usagef("--flows lists conversations, --stats pairs: one of them")
	case (f.flows || f.stats) && (f.write != "" || f.path || f.hex):
		return usagef("--flows and --stats print no packets: they go without -w, -x and --path")
	case f.write != "" && a.output == "json":
		return usagef("-w writes pcapng: -o json goes without it")
	}
	if f.explain {
		var g *topo.Graph
		if hasNames(expr) {
			snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
			if err != nil {
				return err
			}
			g = topo.Build(snaps...)
		}
		flt, err := parseFilter(expr, g)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, flt.Explain())
		return err
	}
	if f.read != "" {
		return a.captureFile(ctx, f, expr)
	}
	if len(a.from) > 0 {
		return usagef("a snapshot has no packets: --from goes with -r FILE, for names")
	}
	if f.path && (len(targets) != 2 || a.output == "json") {
		return usagef("--path takes two targets, and prints lines or writes a file (-w): nscope capture --path web db")
	}
	return a.captureLive(ctx, f, targets, expr, f.path)
}

// captureLive captures on this host; along a path, targets are its two ends.
func (a *app) captureLive(ctx context.Context, f *captureFlags, targets []string, expr string, path bool) error {
	everything := len(targets) == 0
	if everything {
		targets = []string{"all"}
	}
	refresh := func(ctx context.Context) (*topo.Graph, error) {
		opts := []inspect.Option{inspect.WithDepth(inspect.Topology)}
		if slices.Equal(targets, []string{"self"}) {
			opts = append(opts, inspect.SelfOnly())
		}
		snaps, err := a.snapshots(ctx, opts...)
		if err != nil {
			return nil, err
		}
		return topo.Build(snaps...), nil
	}
	g, err := refresh(ctx)
	if err != nil {
		return err
	}
	a.tellGaps(g.Gaps)
	flt, err := parseFilter(expr, g)
	if err == nil && path && expr != "" {
		// A packet goes in a tunnel for a part of its way, and is meant there too.
		flt, err = parseFilter("inner ("+expr+")", g)
	}
	if err != nil {
		return err
	}
	var spots []capture.Spot
	var waiting []string
	if path {
		if spots, err = capture.PathSpots(g, targets[0], targets[1]); err != nil {
			return err
		}
		refresh = nil // what it crosses may have changed with what restarts
	} else {
		var missing []*topo.NotFoundError
		spots, missing, err = spotsThere(g, targets)
		if err == nil && len(missing) > 0 && !f.wait {
			err = missing[0]
		}
		if err != nil {
			return err
		}
		for _, m := range missing {
			waiting = append(waiting, m.Target)
		}
	}
	var known []pcap.Name
	if !f.noNames {
		known = capture.Addresses(g)
	}
	out, err := a.captureSink(f, known)
	if err != nil {
		return err
	}
	note := func(format string, args ...any) {
		out.clearStatus()
		fmt.Fprintln(a.err, "nscope: "+oneLine(fmt.Sprintf(format, args...)))
		if out.noted != nil {
			out.noted()
		}
	}
	out.sampled = everything && f.write == "" && !f.flows && !f.stats && !f.every() && a.isTerminal(a.out)
	if out.sampled {
		note("no target: all namespaces, at most %d packets a second are shown (--every: all)", sampleRate)
	}
	if f.write != "" && f.count == 0 && f.duration == 0 && f.maxBytes == 0 {
		note("writing until ctrl-C: -c, --for or --max-bytes set an end")
	}
	c := capture.Config{
		Filter: flt, On: f.on, SnapLen: f.snapLen, VXLANPorts: capture.VXLANPorts(g), Checksums: f.snapLen == 0 && f.write == "", Undecoded: f.write != "" && !path && f.payload() == capture.KeepPayload, NoNames: f.noNames,
		Proc: a.proc, Note: note, Refresh: refresh, Targets: targets, Await: len(waiting) > 0,
	}
	if hasNames(expr) {
		c.Refilter = func(g *topo.Graph) (*filter.Filter, error) { return parseFilter(expr, g) }
	}
	if slices.Equal(targets, []string{"self"}) {
		c.Open = func(context.Context, snapshot.NSID, string) (*netns.Handle, error) { return netns.Self() }
	}
	s, err := capture.NewSession(g, c)
	if err != nil {
		return err
	}
	if err := s.Add(ctx, spots, !everything && !slices.Contains(targets, "all")); err != nil {
		s.Close()
		return netns.Denied("its namespaces", err)
	}
	if len(spots) > 1 || len(targets) > 1 || everything {
		out.order, out.drained = &lineOrder{}, s.Drained
	}
	out.dropped = s.Dropped
	spaces := map[string]bool{}
	for _, x := range spots {
		spaces[x.Netns.ID] = true
	}
	note("capturing in %s", counted(len(spaces), "namespace"))
	if len(waiting) > 0 {
		note("waiting for %s", strings.Join(waiting, ", "))
	}
	take, idle := out.take, out.idle
	flows := a.flowSink(out)
	if flows != nil {
		flows.live = a.output != "json" && a.isTerminal(a.out)
		out.noted = func() { flows.lines = 0 } // the next picture stands below it
		take, idle = flows.take, flows.idle
	}
	var way *pathSink
	if path {
		ways, err := capture.NewWays(g, capture.NewNamer(g), targets[0], targets[1])
		if err != nil {
			s.Close()
			return err
		}
		ways.Payload = f.payload()
		ways.Keep = f.write != ""
		way = &pathSink{s: out, ways: ways, drained: s.Drained}
		take, idle = way.take, way.idle
	}
	if f.duration > 0 { // of capturing: to read the host takes its time
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	err = s.Run(ctx, take, idle)
	if way != nil && err == nil {
		err = way.tell(way.ways.Last)
	}
	counts := s.Counts()
	if flows != nil {
		if e := flows.end(); e != nil {
			return e
		}
	}
	if e := out.end(err, time.Now().UnixNano(), counts); e != nil {
		return e
	}
	a.captureSummary(counts)
	return nil
}

// captureSpots are those of all targets.
func captureSpots(g *topo.Graph, targets []string) ([]capture.Spot, error) {
	out, missing, err := spotsThere(g, targets)
	if err == nil && len(missing) > 0 {
		err = missing[0]
	}
	return out, err
}

// spotsThere are those of the targets that are there.
func spotsThere(g *topo.Graph, targets []string) (out []capture.Spot, missing []*topo.NotFoundError, err error) {
	for _, t := range targets {
		s, err := capture.Spots(g, t)
		var not *topo.NotFoundError
		if errors.As(err, &not) {
			missing = append(missing, not)
		} else if err != nil {
			return nil, nil, err
		}
		out = append(out, s...)
	}
	return out, missing, nil
}

// captureSummary says what came by each interface, and what the kernel had no room for.
func (a *app) captureSummary(counts []capture.Counts) {
	var total, drops uint64
	links := 0
	spaces := map[string]bool{}
	for i := range counts {
		c := &counts[i]
		spaces[c.Netns] = true
		total, drops, links = total+c.Packets(), drops+c.Dropped, links+len(c.Links)
	}
	for i := range counts {
		c := &counts[i]
		for _, l := range c.Links {
			if links > 1 {
				fmt.Fprintf(a.err, "%8d %-7s  %9s  %s\n", l.Packets, packets(l.Packets), text.Size(l.Bytes), l.Place.Name)
			}
		}
		if c.Dropped > 0 && len(counts) > 1 {
			fmt.Fprintf(a.err, "%8s%s: %d of %d\n", "", " dropped in the ring of "+c.Name, c.Dropped, c.Taken+c.Dropped)
		}
	}
	fmt.Fprintf(a.err, "%8d %s in %s%s\n", total, packets(total), counted(len(spaces), "namespace"), dropped(drops))
}

func packets(n uint64) string {
	if n == 1 {
		return "packet"
	}
	return "packets"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func dropped(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d dropped by the kernel: the ring was full (a filter, -s or -w makes it faster)", n)
}
