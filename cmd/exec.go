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

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func newExec(a *app) *cobra.Command {
	var hostRoot, ownRoot, resolv bool
	c := &cobra.Command{
		Use:                   "exec [flags] TARGET -- COMMAND [ARG...]",
		DisableFlagsInUseLine: true,
		Short:                 "Run a command inside a target's network namespace",
		Long: `Run a command inside the network namespace of a container, a pid, a link, or
any other TARGET. The command and all files are this host's: the container
needs no tools and no shell. The exit code is the command's (127: not found,
126: cannot be run).

With --host-root (the default when nscope itself runs in a container) the
command and the files are those of the host's mount namespace. With --resolv
the command sees the container's /etc/resolv.conf as its own, in a private
mount namespace.`,
		Example: `  nscope exec web -- ss -tlnp
  nscope exec netns:4026532184 -- ip route
  nscope exec --resolv web -- getent hosts db
  nscope exec lb_gz7t7pfi8 -- ipvsadm -Ln`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 || len(args) == 2 && args[1] == "--" || c.ArgsLenAtDash() > 1 {
				return usagef("exec takes a TARGET, then --, then a command\nsee: %s --help", c.CommandPath())
			}
			if hostRoot && ownRoot {
				return usagef("--host-root and --own-root contradict each other")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.from) > 0 {
				return usagef("exec runs on this host: it cannot be used with --from")
			}
			command := args[1:]
			if command[0] == "--" && len(command) > 1 {
				command = command[1:]
			}
			t, err := a.enter(c.Context(), args[0])
			if err != nil {
				return err
			}
			o := netns.ExecOptions{Target: t.name, Proc: a.proc, HostRoot: hostRoot || !ownRoot && netns.InContainer(a.proc)}
			if resolv {
				if t.pid == 0 {
					return fmt.Errorf("--resolv: no process is known in %s whose resolv.conf could be used", args[0])
				}
				o.ResolvOf = t.pid
			}
			return execError(netns.Exec(t.handle, command, o))
		},
		ValidArgsFunction: a.completeTarget,
	}
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVar(&hostRoot, "host-root", false, "run the host's command on the host's files")
	c.Flags().BoolVar(&ownRoot, "own-root", false, "run nscope's own mount namespace's command, also in a container")
	c.Flags().BoolVar(&resolv, "resolv", false, "use the target's /etc/resolv.conf")
	return c
}

// execError gives the exit codes of a shell to commands that could not be started.
func execError(err error) error {
	if code := netns.ExecCode(err); code != 0 {
		return &commandError{code, err}
	}
	return err
}

// commandError is a command that could not be started.
type commandError struct {
	code int
	error
}

func (e *commandError) Unwrap() error { return e.error }

// entry is an opened target: what it is called, and a process in it, 0 where none is known.
type entry struct {
	handle *netns.Handle
	name   string
	pid    int
}

// enter opens the namespace of a target. A pid or a path is opened without reading the host.
func (a *app) enter(ctx context.Context, target string) (entry, error) {
	switch kind, rest, _ := strings.Cut(target, ":"); {
	case target == "self":
		h, err := netns.Self()
		return entry{h, "nscope itself", os.Getpid()}, err
	case kind == "pid":
		pid, err := strconv.Atoi(rest)
		if err != nil || pid <= 0 {
			return entry{}, usagef("%q is no process id", rest)
		}
		h, err := netns.OpenPath(fmt.Sprintf("%s/%d/ns/net", a.proc, pid), "")
		if errors.Is(err, netns.ErrGone) {
			return entry{}, usagef("there is no process %d", pid)
		}
		name := fmt.Sprintf("process %d", pid)
		return entry{h, name, pid}, netns.Denied(name, err)
	case kind == "path":
		h, err := netns.OpenPath(rest, "")
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return entry{}, &usageError{err}
		}
		name := strconv.Quote(rest)
		return entry{h, name, 0}, netns.Denied(name, err)
	}
	snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return entry{}, err
	}
	g := topo.Build(snaps...)
	if a.verbose {
		a.tellGaps(g.Gaps) // the command's own output should not be mixed with them otherwise
	}
	n, err := g.Resolve(target)
	var missing *topo.NotFoundError
	switch {
	case errors.As(err, &missing) && closed(g):
		return entry{}, netns.Denied(strconv.Quote(target), fs.ErrPermission)
	case err != nil:
		return entry{}, err
	}
	name := fmt.Sprintf("%s %q", n.Kind, n.Name)
	ns, ok := g.Netns(n)
	w := g.Workload(n)
	switch {
	case ok && g.Namespace(ns) != nil:
	case w != nil && w.State != "" && w.State != "running" && w.State != "paused" && w.State != "unknown":
		return entry{}, usagef("%s is %s: it has no network namespace", name, w.State)
	case n.Kind == topo.KindContainer && closed(g):
		return entry{}, netns.Denied(name, fs.ErrPermission)
	default:
		return entry{}, usagef("%s has no network namespace of its own", name)
	}
	e := entry{name: name}
	if w != nil {
		e.pid = w.PID
	} else if p := ns.Attrs.PIDs; len(p) > 0 {
		e.pid = p[0]
	}
	e.handle, err = a.openNS(ctx, g.Namespace(ns).ID, name)
	return e, err
}

// closed tells whether what is not found may just not be seen.
func closed(g *topo.Graph) bool {
	return !netns.MayEnter() || slices.ContainsFunc(g.Gaps, func(g topo.Gap) bool { return g.Reader == "processes" })
}

func (a *app) openNS(ctx context.Context, id snapshot.NSID, name string) (*netns.Handle, error) {
	err := netns.ErrGone
	if id.Hidden() {
		err = netns.ErrNoWay
	}
	found, err2 := netns.Find(ctx, netns.WithProc(a.proc))
	if err2 != nil {
		return nil, err2
	}
	ns, ok := found.Namespace(id)
	if !ok {
		return nil, fmt.Errorf("cannot enter the netns of %s: %w", name, err)
	}
	h, err := ns.Open()
	if errors.Is(err, fs.ErrPermission) {
		return nil, netns.Denied(name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot enter the netns of %s: %w", name, err)
	}
	return h, nil
}
