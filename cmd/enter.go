package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// entry is an opened target: what it is called, and a process in it, 0 where none is known.
type entry struct {
	handle *netns.Handle
	name   string
	pid    int
}

// enter opens the namespace of a target. A pid or a path is opened without reading the host.
func (a *app) enter(ctx context.Context, target string) (entry, error) {
	if e, ok, err := a.enterDirect(target); ok {
		return e, err
	}
	snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return entry{}, err
	}
	g := topo.Build(snaps...)
	if a.verbose {
		a.tellGaps(g.Gaps) // the command's own output should not be mixed with them otherwise
	}
	l, err := locateTarget(g, target)
	if err != nil {
		return entry{}, err
	}
	h, err := a.opener().open(ctx, l)
	return entry{h, l.name, l.pid}, err
}

// enterDirect opens what needs no reading of the host: "self", "pid:" and "path:". ok is false for other targets.
func (a *app) enterDirect(target string) (e entry, ok bool, err error) {
	switch kind, rest, _ := strings.Cut(target, ":"); {
	case target == "self":
		h, err := netns.Self()
		return entry{h, "nscope itself", os.Getpid()}, true, err
	case kind == "pid":
		pid, err := strconv.Atoi(rest)
		if err != nil || pid <= 0 {
			return entry{}, true, usagef("%q is no process id", rest)
		}
		h, err := netns.OpenPath(fmt.Sprintf("%s/%d/ns/net", a.proc, pid), "")
		if errors.Is(err, netns.ErrGone) {
			return entry{}, true, usagef("there is no process %d", pid)
		}
		name := fmt.Sprintf("process %d", pid)
		return entry{h, name, pid}, true, netns.Denied(name, err)
	case kind == "path":
		h, err := netns.OpenPath(rest, "")
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return entry{}, true, &usageError{err}
		}
		name := strconv.Quote(rest)
		return entry{h, name, 0}, true, netns.Denied(name, err)
	}
	return entry{}, false, nil
}

// located is a target that has a namespace: which, what an error calls it, and a process in it, 0 where none is known.
type located struct {
	node *topo.Node // the target itself
	ns   *topo.Node
	id   snapshot.NSID
	name string
	pid  int
}

// locateTarget finds a target's namespace.
func locateTarget(g *topo.Graph, target string) (located, error) {
	n, err := g.Resolve(target)
	var missing *topo.NotFoundError
	switch {
	case errors.As(err, &missing) && closed(g):
		return located{}, netns.Denied(strconv.Quote(target), fs.ErrPermission)
	case err != nil:
		return located{}, err
	}
	return locate(g, n)
}

// locate finds the namespace of a node.
func locate(g *topo.Graph, n *topo.Node) (located, error) {
	name := fmt.Sprintf("%s %q", n.Kind, n.Name)
	ns, ok := g.Netns(n)
	w := g.Workload(n)
	switch {
	case ok && g.Namespace(ns) != nil:
	case w != nil && w.State != "" && w.State != "running" && w.State != "paused" && w.State != "unknown":
		return located{}, usagef("%s is %s: it has no network namespace", name, w.State)
	case n.Kind == topo.KindContainer && closed(g):
		return located{}, netns.Denied(name, fs.ErrPermission)
	default:
		return located{}, usagef("%s has no network namespace of its own", name)
	}
	l := located{node: n, ns: ns, id: g.Namespace(ns).ID, name: name}
	if w != nil {
		l.pid = w.PID
	} else if p := ns.Attrs.PIDs; len(p) > 0 {
		l.pid = p[0]
	}
	return l, nil
}

// closed tells whether what is not found may just not be seen.
func closed(g *topo.Graph) bool {
	return !netns.MayEnter() || slices.ContainsFunc(g.Gaps, func(g topo.Gap) bool { return g.Reader == "processes" })
}

// opener opens the namespaces that targets mean.
type opener struct{ *netns.Opener }

func (a *app) opener() opener { return opener{netns.NewOpener(a.proc)} }

func (o opener) open(ctx context.Context, l located) (*netns.Handle, error) {
	return o.Open(ctx, l.id, l.name)
}
