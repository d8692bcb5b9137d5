package cmd

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/topo"
)

// captureFlags are what `nscope capture` was asked for.
type captureFlags struct {
	on                 []string
	write, read        string
	expr               string
	noNames, hex       bool
	count              int
	duration           time.Duration
	maxBytes           int64
	fileBytes          int64
	fileTime           time.Duration
	files              int
	snapLen            int
	headers, noPayload bool
	explain, all, path bool
	flows, stats       bool
	wait               bool
}

func newCapture(a *app) *cobra.Command {
	var f captureFlags
	c := &cobra.Command{
		Use:                   "capture [flags] [TARGET...] [FILTER]",
		DisableFlagsInUseLine: true,
		Short:                 "Show or save packets of any namespaces, tunnels opened, with names",
		Long: `Capture in any number of network namespaces at once: those of containers, the
host's, an overlay's, one link (if:docker0, web/eth0), what carries a network
(net:backend), its load balancer (lb:backend), the routing mesh (ingress), or
all. Nothing is needed inside them. VXLAN, Geneve, GRE, IPIP and flannel's UDP
are opened; addresses get the names of containers, services and nodes.

FILTER is tcpdump's language (pcap-filter(7)), and beyond it:
  inner …            what follows is asked of the innermost headers
  outer …            back to the outermost
  vni N              in a VXLAN or Geneve tunnel with this VNI
  encap TYPE         vxlan, flannel-udp, geneve, gre, ipip, esp
  container NAME     sent or received by it, or captured in its namespace
  service NAME       of a service's virtual addresses or members
  dir in|out         received or sent by the interface
It begins at its first word (host, tcp, port, vni …); TARGETs stand before it.
A container that is called like one is container:NAME; host is a target where
no address follows (-f 'host db' for a name). Every packet is tested on all its
headers; what cannot be done so is an error.

A container that restarts under the name that was asked for joins again by
itself; one that ends is let go of. With --wait it need not be there yet.`,
		Example: `  nscope capture web                        all packets of a container
  nscope capture web db tcp port 5432       of two, filtered
  nscope capture host vni 4097 and inner host 10.0.1.3
  nscope capture --path web db -c 1         one packet's way, hop by hop
  nscope capture net:backend -w net.pcapng --for 10s
  nscope capture host -w host.pcapng.zst -C 100 -W 10
  nscope capture all icmp or arp
  nscope capture web -o json | jq .summary
  nscope capture web --wait                 from its first packet on, once it starts
  nscope capture web --flows                its conversations, live
  nscope capture -r net.pcapng --stats      who talks with whom in a file
  nscope capture -r net.pcapng encap vxlan  read a file`,
		RunE:              func(c *cobra.Command, args []string) error { return a.capture(c.Context(), &f, args) },
		ValidArgsFunction: a.completeCapture,
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.on, "on", nil, "only the links of this `NAME` (eth0); repeat for several")
	fl.BoolVar(&f.path, "path", false, "show the way of each packet between two targets: every interface that it comes by")
	fl.BoolVar(&f.wait, "wait", false, "wait for targets that are not there yet")
	fl.BoolVar(&f.flows, "flows", false, "conversations in place of packets: bytes, rate, handshake, what was sent again")
	fl.BoolVar(&f.stats, "stats", false, "who talks with whom in place of packets, all conversations of a pair together")
	fl.StringVarP(&f.write, "write", "w", "", "write pcapng to `FILE`, - for standard output, instead of lines")
	fl.StringVarP(&f.read, "read", "r", "", "read a pcap or pcapng `FILE` (gz, zst), - for standard input")
	fl.StringVarP(&f.expr, "filter", "f", "", "the `FILTER`, where it should not follow the targets")
	fl.BoolVarP(&f.noNames, "numeric", "n", false, "no names for addresses")
	fl.BoolVarP(&f.hex, "hex", "x", false, "dump the bytes of each packet")
	fl.IntVarP(&f.count, "count", "c", 0, "end after `N` packets")
	fl.DurationVar(&f.duration, "for", 0, "end after this `TIME`")
	fl.Int64Var(&f.maxBytes, "max-bytes", 0, "end after writing `N` bytes")
	fl.Int64VarP(&f.fileBytes, "file-size", "C", 0, "begin another file after `N` million bytes")
	fl.DurationVarP(&f.fileTime, "file-time", "G", 0, "begin another file after this `TIME`")
	fl.IntVarP(&f.files, "files", "W", 0, "keep only the newest `N` files of -C or -G")
	fl.IntVarP(&f.snapLen, "snaplen", "s", 0, "keep at most `N` bytes of a packet; 0: all")
	fl.BoolVar(&f.headers, "headers-only", false, "keep the headers (of tunnels too), and nothing after them")
	fl.BoolVar(&f.noPayload, "no-payload", false, "make what comes after the headers zeroes, in files and lines: no name, request or content stays")
	fl.BoolVar(&f.explain, "explain", false, "say what the filter means, and end")
	fl.BoolVar(&f.all, "every", false, "print every packet, where without a target on a terminal only some are")
	_ = c.RegisterFlagCompletionFunc("on", a.completeLinks)
	a.outputFlag(c, "text", "json")
	return c
}

// splitCapture parts arguments into targets and the words of a filter, which begins at its first keyword.
func splitCapture(args []string) (targets, expr []string) {
	for i, w := range args {
		first, _, _ := strings.Cut(strings.TrimLeft(w, "("), " ")
		if strings.HasPrefix(w, "(") || strings.HasPrefix(w, "!") || filter.Keyword(first) && first != "host" || first == "host" && hostKeyword(args, i) || strings.ContainsAny(first, "[=<>") {
			return args[:i], args[i:]
		}
	}
	return args, nil
}

// hostKeyword tells the filter's "host ADDRESS" from the target "host": an address or a name follows, and nothing but a filter
// ("nscope capture host tcp" takes the host's packets, "nscope capture web host 10.0.1.2" filters).
func hostKeyword(args []string, i int) bool {
	if strings.Contains(args[i], " ") {
		return true // "host 10.0.1.2" as one word
	}
	if i+1 >= len(args) {
		return false
	}
	next, _, _ := strings.Cut(args[i+1], " ")
	return !filter.Keyword(next) && !strings.HasPrefix(next, "(") && !strings.HasPrefix(next, "!") && filter.Operand(next)
}

// parseFilter compiles the filter, with a caret in the error.
func parseFilter(expr string, g *topo.Graph) (*filter.Filter, error) {
	if expr == "" {
		return nil, nil
	}
	var names filter.Names
	if g != nil {
		names = capture.FilterNames(g)
	}
	f, err := filter.Parse(expr, names)
	var bad *filter.Error
	if errors.As(err, &bad) {
		return nil, usagef("filter: %s\n%s", bad.Text, bad.Caret())
	}
	return f, err
}

// hasNames tells whether there is a name in a filter, whose addresses only a topology knows.
func hasNames(expr string) bool {
	if expr == "" {
		return false
	}
	_, err := filter.Parse(expr, nil)
	var bad *filter.Error
	return errors.As(err, &bad) && bad.Unnamed
}
