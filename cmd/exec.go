package cmd

import (
	"context"
	"fmt"
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
		Use:   "exec TARGET -- COMMAND [ARG...]",
		Short: "Run a command inside a target's network namespace",
		Long: `Run a command inside the network namespace of a container, a pid, a link, or any
other TARGET. The command and all files are this host's: the container needs no
tools and no shell. The exit code is the command's (127: not found, 126: cannot
be run).

With --host-root (the default when nscope itself runs in a container) the command
and the files are those of the host's mount namespace. With --resolv the command
sees the container's /etc/resolv.conf as its own, in a private mount namespace.`,
		Example: `  nscope exec web -- ss -tlnp
  nscope exec netns:4026532184 -- ip route
  nscope exec --resolv web -- getent hosts db
  nscope exec lb_gz7t7pfi8 -- ipvsadm -Ln`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 || c.ArgsLenAtDash() > 1 {
				return usagef("exec takes a TARGET, then --, then a command\nsee: nscope exec --help")
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
			h, pid, err := a.enter(c.Context(), args[0])
			if err != nil {
				return err
			}
			o := netns.ExecOptions{Proc: a.proc, HostRoot: hostRoot || !ownRoot && netns.InContainer(a.proc)}
			if resolv {
				if pid == 0 {
					return fmt.Errorf("--resolv: no process is known in %s whose resolv.conf could be used", args[0])
				}
				o.ResolvOf = pid
			}
			return execError(netns.Exec(h, command, o))
		},
		ValidArgsFunction: a.completeTarget,
	}
	c.Flags().SetInterspersed(false)
	c.Flags().BoolVar(&hostRoot, "host-root", false, "run the host's command on the host's files")
	c.Flags().BoolVar(&ownRoot, "own-root", false, "run nscope's own mount namespace's command, also in a container")
	c.Flags().BoolVar(&resolv, "resolv", false, "use the target's /etc/resolv.conf")
	c.MarkFlagsMutuallyExclusive("host-root", "own-root")
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

// enter opens the namespace of a target, and finds a process in it. A pid or a path is opened without reading the host.
func (a *app) enter(ctx context.Context, target string) (h *netns.Handle, pid int, err error) {
	switch kind, rest, _ := strings.Cut(target, ":"); {
	case target == "self":
		h, err = netns.Self()
		return h, 0, err
	case kind == "pid":
		if pid, err = strconv.Atoi(rest); err != nil || pid <= 0 {
			return nil, 0, usagef("%q is no process id", rest)
		}
		h, err = netns.OpenPath(fmt.Sprintf("%s/%d/ns/net", a.proc, pid), "")
		return h, pid, err
	case kind == "path":
		h, err = netns.OpenPath(rest, "")
		return h, 0, err
	}
	snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return nil, 0, err
	}
	g := topo.Build(snaps...)
	n, err := g.Resolve(target)
	if err != nil || a.verbose {
		a.tellGaps(g) // the command's own output should not be mixed with them otherwise
	}
	if err != nil {
		return nil, 0, err
	}
	ns, ok := g.Netns(n)
	if !ok || g.Namespace(ns) == nil {
		return nil, 0, usagef("%s is a %s: it has no network namespace of its own", target, n.Kind)
	}
	if w := g.Workload(n); w != nil {
		pid = w.PID
	} else if p := ns.Attrs.PIDs; len(p) > 0 {
		pid = p[0]
	}
	h, err = a.openNS(ctx, g.Namespace(ns).ID, n)
	return h, pid, err
}

func (a *app) openNS(ctx context.Context, id snapshot.NSID, n *topo.Node) (*netns.Handle, error) {
	found, err := netns.Find(ctx, netns.WithProc(a.proc))
	if err != nil {
		return nil, err
	}
	ns, ok := found.Namespace(id)
	if !ok {
		return nil, fmt.Errorf("cannot enter the netns of %s %q: %w", n.Kind, n.Name, netns.ErrGone)
	}
	h, err := ns.Open()
	if err != nil {
		return nil, fmt.Errorf("cannot enter the netns of %s %q: %w", n.Kind, n.Name, err)
	}
	return h, nil
}
