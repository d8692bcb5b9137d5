package cmd

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect/snapshot"
)

func newSnapshot(a *app) *cobra.Command {
	var redact bool
	var key string
	c := &cobra.Command{
		Use:   "snapshot [FILE]",
		Short: "Save everything about this host to a file",
		Long: `Save everything that nscope reads to one file, which every command reads with
--from, on any machine and without privileges. The name says how it is
compressed: .json, .json.gz or .json.zst; without a name, or with -, it goes to
standard output. No key of an encrypted network is ever read into it.`,
		Example: `  nscope snapshot web1.json.zst
  nscope snapshot --redact bug.json.gz     addresses, MACs and names replaced
  ssh web2 sudo nscope snapshot - | nscope --from web1.json.zst --from - topo`,
		Args: atMostOneArg("file"),
		RunE: func(c *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			if path == "-" && len(args) == 0 && a.isTerminal(a.out) {
				return usagef("name a file (web1.json.zst), or - to print the snapshot to the terminal")
			}
			if key != "" && !redact {
				return usagef("--redact-key goes with --redact")
			}
			snaps, err := a.snapshots(c.Context())
			if err != nil {
				return err
			}
			if len(snaps) != 1 {
				return usagef("a snapshot is of one host: give --from once")
			}
			s := snaps[0]
			a.tellGaps(gapsOf(s))
			if redact {
				s.Redact(key)
			}
			if path == "-" {
				return s.Write(a.out)
			}
			if err := snapshot.Save(path, s); err != nil {
				return err
			}
			a.tellSnapshot(path, s)
			return nil
		},
	}
	c.Flags().BoolVar(&redact, "redact", false, "replace addresses, MACs and names, the same ones alike")
	c.Flags().StringVar(&key, "redact-key", "", "replace alike in several snapshots that are redacted with this key")
	return c
}

func (a *app) tellSnapshot(path string, s *snapshot.Snapshot) {
	size := int64(0)
	if st, err := os.Stat(path); err == nil {
		size = st.Size()
	}
	links := 0
	for i := range s.Namespaces {
		links += len(s.Namespaces[i].Links)
	}
	fmt.Fprintf(a.err, "%s: %s, %s, %s, %s, %s, in %d ms\n", path, count(len(s.Namespaces), "namespace"), count(links, "link"),
		count(len(s.Workloads), "container"), count(len(s.Gaps), "gap"), bytesText(size), s.TookMS)
}

// count is "1 gap", "2 gaps".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// bytesText is a file's size as people read it.
func bytesText(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
