package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// app is what the commands share: the streams and the flags that every command has.
type app struct {
	in       io.Reader
	out, err io.Writer

	from     []string
	proc     string
	engines  []string
	noEngine bool
	etcd     []string
	timeout  time.Duration
	noColor  bool
	verbose  bool
	output   string
}

// Main runs nscope with the given arguments (the program's name first) and returns the exit code.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second ctrl-C ends what does not heed the first
	// What is read once and printed once leaves little garbage: half the room for it costs some 5% of the time and
	// keeps the peak near what is alive, on hosts where every megabyte belongs to somebody else.
	debug.SetGCPercent(50)
	stdout := &sink{w: out}
	a := &app{in: in, out: stdout, err: errw}
	name, rest, done := plugin(args, stdout)
	if done {
		return exitOK
	}
	root := newRoot(a, name)
	root.SetArgs(rest)
	root.SetIn(in)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = stdout.err
	}
	return report(errw, err)
}

func newRoot(a *app, name string) *cobra.Command {
	var v viewFlags
	root := &cobra.Command{
		Use:   "nscope",
		Short: "See the network namespaces of a container host and how they are wired together",
		Long: `nscope shows every network namespace of a Linux container host, who holds it,
how bridges, veth pairs, overlays and macvlans tie them together, and which
container is behind what. It needs no agent and no tools inside the containers,
and works when the container engine is down, from a file, and on another host's
snapshot. Without a command it opens an interactive view of the topology.

TARGET is a name or unique prefix, or explicit: container:web,
netns:4026532184, pid:1234, net:backend, service:web, if:veth1a2b,
path:/run/netns/x, host, self.`,
		Example: `  nscope                        the interactive view: ? is its help
  nscope ps                     containers, where they are, and their wires
  nscope topo                   the whole host as a tree
  nscope find veth1a2b          which container is behind it
  nscope exec web -- ss -tln    this host's ss in that container's namespace
  nscope probe tcp web db:5432  does that port answer, asked from inside web
  nscope snapshot web1.json.zst everything, to a file
  nscope --from web1.json.zst ps`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.timeout <= 0 {
				return usagef("--timeout %v: an engine needs some time to answer, such as 1s", a.timeout)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.view(c, v) },
	}
	root.SuggestionsMinimumDistance = 2
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w\nsee: %s --help", err, c.CommandPath())
	})
	root.Flags().BoolVar(&v.ascii, "ascii", false, "draw the interactive view with ASCII only")
	root.Flags().BoolVar(&v.mouse, "mouse", false, "the interactive view takes the mouse: clicks select, the wheel scrolls")
	f := root.PersistentFlags()
	f.StringArrayVar(&a.from, "from", nil, "read this snapshot `FILE` instead of the live host; repeat for several hosts, - is stdin")
	f.StringVar(&a.proc, "proc", "/proc", "`DIR` where the host's /proc is mounted")
	f.StringArrayVar(&a.engines, "engine", nil, "ask the engine at this `URL` (unix:///run/docker.sock), or \"docker\": the one of DOCKER_HOST, or of the usual socket; default: every one found")
	f.BoolVar(&a.noEngine, "no-engine", false, "ask no engine and read none's files: the kernel's facts alone")
	f.StringArrayVar(&a.etcd, "etcd", nil, "read flannel's leases from the etcd at this `URL` (http://10.0.0.5:2379)")
	f.DurationVar(&a.timeout, "timeout", time.Second, "`TIME` that one engine may take")
	f.BoolVar(&a.noColor, "no-color", false, "no colours (also: NO_COLOR in the environment)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say every gap, and what was done")
	_ = root.RegisterFlagCompletionFunc("from", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"json", "gz", "zst"}, cobra.ShellCompDirectiveFilterFileExt
	})
	_ = root.RegisterFlagCompletionFunc("engine", completeEngine)
	root.AddCommand(
		newPS(a), newNS(a), newTopo(a), newShow(a), newFind(a), newConns(a), newRules(a), newCapture(a), newExtcap(a), newExec(a), newProbe(a), newSnapshot(a), newDiff(a), newLab(a),
		newVersion(a), newMan(a), newKeeper(a), newHolder(a), newService(a), newInside(a), newTerminalKeeper(a),
	)
	root.SetUsageFunc(usage)
	root.SetOut(a.out) // cobra's completion command keeps the output that is set when it is made
	root.InitDefaultCompletionCmd()
	refuseOtherShells(root)
	root.InitDefaultHelpCmd()
	return root
}

// refuseOtherShells makes `completion csh` a mistake; by itself it shows the help and succeeds, which a script that writes
// the output to a file would not notice.
func refuseOtherShells(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("no completion for %q: there is bash, fish, powershell, zsh", args[0])
			}
			return c.Help()
		}
	}
}

func unknownCommand(c *cobra.Command, name string) error {
	msg := fmt.Sprintf("unknown command %q", name)
	if near := c.SuggestionsFor(name); len(near) > 0 {
		msg += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s\nsee: %s --help", msg, c.CommandPath())
}

// noArgs, oneArg and maxOneArg are cobra's, as usage errors.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q\nsee: %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one %s, got %d arguments\nsee: %s --help", c.CommandPath(), what, len(args), c.CommandPath())
		}
		return nil
	}
}

func atMostOneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("%s takes at most one %s, got %d arguments\nsee: %s --help", c.CommandPath(), what, len(args), c.CommandPath())
		}
		return nil
	}
}
