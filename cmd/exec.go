package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect/netns"
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

// shell is nscope itself, which runs a shell in a target's namespace as `nscope exec` does, for the interactive view.
func (a *app) shell(target string) (tea.ExecCommand, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sh := cmp.Or(os.Getenv("SHELL"), "/bin/sh")
	args := []string{"exec", "--proc", a.proc, "--timeout", a.timeout.String()}
	for _, e := range a.engines {
		args = append(args, "--engine", e)
	}
	if a.noEngine {
		args = append(args, "--no-engine")
	}
	return &console{exec.Command(self, append(args, target, "--", sh)...), target}, nil
}

// console is a command on the terminal that the view leaves to it.
type console struct {
	*exec.Cmd
	target string
}

func (c *console) SetStdin(r io.Reader)  { c.Stdin = r }
func (c *console) SetStdout(w io.Writer) { c.Stdout = w }
func (c *console) SetStderr(w io.Writer) { c.Stderr = w }

// Run says where the shell is before it starts it. That a shell ends with another code than 0 is its user's affair.
func (c *console) Run() error {
	fmt.Fprintf(c.Stdout, "a shell in the network namespace of %s; exit or ctrl-d comes back\n", c.target)
	err := c.Cmd.Run()
	var code *exec.ExitError
	if errors.As(err, &code) {
		return nil
	}
	return err
}

// commandError is a command that could not be started.
type commandError struct {
	code int
	error
}

func (e *commandError) Unwrap() error { return e.error }
