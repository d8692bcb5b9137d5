package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// liveHost stands for the live host in place of a file.
const liveHost = "live"

func newDiff(a *app) *cobra.Command {
	var ascii bool
	var kinds []string
	c := &cobra.Command{
		Use:   "diff OLD [NEW]",
		Short: "Tell what changed between two snapshots, or since one",
		Long: `Tell what is different in the snapshot NEW, by default the live host ("live"),
from the snapshot OLD: namespaces, containers, links, addresses, routes, rules,
neighbours, FDB, firewall, IPVS, services, sysctls, listeners. Counters, ages
and the timers of neighbours are no changes. What is the mere consequence of
another change (the kernel's routes of an address) is counted, and told with
-o wide.

On one kernel namespaces are paired by inode and links by ifindex; after a
reboot, of a container that was started anew, and of two hosts, by their names.
What one of the two could not read is not compared.

The exit code is 0 where nothing changed, 1 where something did, and 2 where
diff failed, as with diff(1).`,
		Example: `  nscope snapshot before.json.zst
  nscope diff before.json.zst                 what changed since
  nscope diff before.json.zst after.json.zst
  nscope diff --kind route,fdb before.json.zst
  ssh web2 sudo nscope snapshot - | nscope diff web2.json.zst -`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("%s takes a snapshot, and another or %q, got %d arguments\nsee: %s --help", c.CommandPath(), liveHost, len(args), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.from) > 0 {
				return usagef("diff names its snapshots itself: nscope diff OLD NEW, without --from")
			}
			if len(args) == 1 {
				args = append(args, liveHost)
			}
			if args[0] == args[1] && (args[0] == liveHost || args[0] == "-") {
				return usagef("%q twice: name two different snapshots", args[0])
			}
			for _, k := range kinds {
				if !slices.Contains(topo.ChangeKinds, topo.ChangeKind(k)) {
					return usagef("no kind %q: there is %s", k, kindWords(", "))
				}
			}
			changes, err := a.diff(c.Context(), args[0], args[1], kinds, ascii)
			switch {
			case err != nil:
				return &troubleError{err}
			case changes > 0:
				return exitError(exitFailed)
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return withPrefix([]string{liveHost}, prefix), cobra.ShellCompDirectiveDefault
		},
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	c.Flags().StringSliceVar(&kinds, "kind", nil, "only changes of this `KIND`: link, address, route, neighbor, fdb, firewall …; repeat for several")
	c.Flags().BoolVar(&ascii, "ascii", false, "write with ASCII only")
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(strings.Split(kindWords(","), ","), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func kindWords(sep string) string {
	var out []string
	for _, k := range topo.ChangeKinds {
		out = append(out, string(k))
	}
	return strings.Join(out, sep)
}

// DiffOutput is what changed between two snapshots.
type DiffOutput struct {
	Old     DiffSide      `json:"old"`     // the older one
	New     DiffSide      `json:"new"`     // the newer one
	Changes []topo.Change `json:"changes"` // by host, namespace and kind
}

// DiffSide is one of the two that were compared.
type DiffSide struct {
	Name  string `json:"name"`  // the file, or "live"
	Host  string `json:"host"`  // the host's name
	Boot  string `json:"boot"`  // its boot id: where both have the same, namespaces and links are told apart by inode and ifindex
	Taken string `json:"taken"` // when it was read: RFC 3339
}

// diff prints what is different, and returns how many changes that are.
func (a *app) diff(ctx context.Context, old, new string, kinds []string, ascii bool) (changes int, err error) {
	var out DiffOutput
	var graphs [2]*topo.Graph
	for i, name := range []string{old, new} {
		one := *a
		if name != liveHost {
			one.from = []string{name}
		}
		snaps, err := one.snapshots(ctx)
		if err != nil {
			return 0, err
		}
		if name == liveHost {
			a.tellGaps(gapsOf(snaps[0]))
		}
		graphs[i] = topo.Build(snaps...)
		*[]*DiffSide{&out.Old, &out.New}[i] = sideOf(name, snaps[0])
	}
	out.Changes = topo.Diff(graphs[0], graphs[1])
	if len(kinds) > 0 {
		out.Changes = slices.DeleteFunc(out.Changes, func(c topo.Change) bool { return !slices.Contains(kinds, string(c.Kind)) })
	}
	if out.Old.Boot != out.New.Boot && out.Old.Host == out.New.Host {
		fmt.Fprintf(a.err, "nscope: note: %s was rebooted between the two: namespaces and links are compared by name\n", oneLine(out.Old.Host))
	}
	if ok, err := a.print(out); ok {
		return len(out.Changes), err
	}
	if a.output == "name" {
		for i := range out.Changes {
			if c := &out.Changes[i]; !c.Follows && c.Node != "" && err == nil {
				_, err = fmt.Fprintln(a.out, c.Node)
			}
		}
		return len(out.Changes), err
	}
	o := a.renderOptions()
	o.ASCII, o.Wide = ascii, a.output == "wide"
	return len(out.Changes), render.Diff(a.out, out.Changes, len(graphs[1].Hosts), o)
}

func sideOf(name string, s *snapshot.Snapshot) DiffSide {
	return DiffSide{Name: name, Host: s.Host.Name, Boot: s.Host.BootID, Taken: s.Taken.Format("2006-01-02T15:04:05Z07:00")}
}
