package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
)

// extcapPrefix begins the names that Wireshark has for our interfaces.
const extcapPrefix = "nscope-"

// newExtcap is Wireshark's side of capture (extcap(4)).
func newExtcap(a *app) *cobra.Command {
	var interfaces, dlts, config, capture bool
	var iface, fifo, filter, version string
	var f captureFlags
	var on string
	c := &cobra.Command{
		Use:                   "extcap",
		DisableFlagsInUseLine: true,
		Short:                 "Wireshark's side of capture: containers in its list of interfaces",
		Long: `Let Wireshark and tshark capture in containers: every container, and the
namespaces of overlays, load balancers and the host, stand in their list of
interfaces. A link to nscope in Wireshark's folder of extcap programs is
enough; Wireshark then asks by the options below. Capturing needs the same
privileges as nscope capture.`,
		Example: `  ln -s "$(command -v nscope)" ~/.local/lib/wireshark/extcap/nscope
  tshark -D
  tshark -i nscope-container:web -f 'tcp port 80'
  nscope extcap --extcap-interfaces`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case interfaces:
				return a.extcapInterfaces(c.Context())
			case iface == "":
				return usagef("extcap needs --extcap-interfaces, or --extcap-interface NAME with --extcap-dlts, --extcap-config or --capture\nsee: %s --help", c.CommandPath())
			case !strings.HasPrefix(iface, extcapPrefix):
				return usagef("no interface %q: they begin with %s", iface, extcapPrefix)
			case dlts:
				fmt.Fprintln(a.out, "dlt {number=1}{name=EN10MB}{display=Ethernet (and raw IP, as each link has it)}")
				return nil
			case config:
				fmt.Fprint(a.out, extcapConfig)
				return nil
			case capture:
				if fifo == "" {
					return usagef("--capture needs --fifo FILE")
				}
				f.write, f.expr = fifo, filter
				if f.on = nil; on != "" {
					f.on = strings.Split(on, ",")
				}
				err := a.capture(c.Context(), &f, []string{strings.TrimPrefix(iface, extcapPrefix)})
				if errors.Is(err, syscall.EPIPE) {
					return nil // Wireshark has closed it: that is how a capture ends
				}
				return err
			case c.Flags().Changed("extcap-capture-filter"): // is it right? Whatever is said is what is wrong
				if err := a.extcapFilter(c.Context(), filter); err != nil {
					fmt.Fprintln(a.out, err)
				}
				return nil
			}
			return usagef("extcap: what of %s? --extcap-dlts, --extcap-config or --capture", iface)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&interfaces, "extcap-interfaces", false, "list the interfaces")
	fl.BoolVar(&dlts, "extcap-dlts", false, "list an interface's link types")
	fl.BoolVar(&config, "extcap-config", false, "list an interface's options")
	fl.BoolVar(&capture, "capture", false, "capture into --fifo")
	fl.StringVar(&iface, "extcap-interface", "", "the interface's `NAME`")
	fl.StringVar(&fifo, "fifo", "", "`FILE` to write pcapng to")
	fl.StringVar(&filter, "extcap-capture-filter", "", "the `FILTER` of nscope capture")
	fl.StringVar(&version, "extcap-version", "", "`VERSION` of Wireshark that asks")
	fl.StringVar(&on, "on", "", "only the links of these `NAMES`, with commas between")
	fl.IntVar(&f.snapLen, "snaplen", 0, "keep at most `N` bytes of a packet; 0: all")
	fl.BoolVar(&f.headers, "headers-only", false, "keep the headers, and nothing after them")
	fl.BoolVar(&f.noPayload, "no-payload", false, "make what comes after the headers zeroes")
	fl.BoolVar(&f.noNames, "numeric", false, "no names for addresses in the file")
	return c
}

// extcapConfig are the options that Wireshark asks for in a dialogue (extcap(4)).
const extcapConfig = `arg {number=0}{call=--on}{display=Links}{type=string}{tooltip=Only these links, with commas between: eth0,eth1. Empty: all}{required=false}
arg {number=1}{call=--snaplen}{display=Snap length}{type=unsigned}{range=0,262144}{default=0}{tooltip=Keep at most so many bytes of a packet. 0: all}
arg {number=2}{call=--headers-only}{display=Headers only}{type=boolflag}{default=false}{tooltip=Keep the headers, those inside tunnels too, and nothing after them}
arg {number=3}{call=--no-payload}{display=Blank the payload}{type=boolflag}{default=false}{tooltip=Make what comes after the headers zeroes}
arg {number=4}{call=--numeric}{display=No names}{type=boolflag}{default=false}{tooltip=Do not write the names of containers and services into the capture}
`

// extcapFilter says what is wrong with a filter.
func (a *app) extcapFilter(ctx context.Context, expr string) error {
	snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return err
	}
	_, err = parseFilter(expr, topo.Build(snaps...))
	return err
}

// extcapInterfaces lists what can be captured at: containers, and namespaces that play a role.
func (a *app) extcapInterfaces(ctx context.Context) error {
	snaps, err := a.snapshots(ctx, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return err
	}
	g := topo.Build(snaps...)
	fmt.Fprintf(a.out, "extcap {version=%s}{help=https://github.com/nscope/nscope}{display=nscope}\n", extcapText(Version()))
	var rows []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		ns, ok := g.Netns(n)
		if !ok || g.Namespace(ns) == nil {
			continue
		}
		switch {
		case n.Kind == topo.KindContainer, n.Kind == topo.KindNetns && n.Attrs.Role != topo.RoleContainer && n.Attrs.Role != topo.RoleOther:
			t := g.TargetOf(n)
			rows = append(rows, fmt.Sprintf("interface {value=%s%s}{display=nscope: %s}", extcapPrefix, extcapText(t), extcapText(t)))
		}
	}
	slices.Sort(rows)
	for _, r := range slices.Compact(rows) {
		fmt.Fprintln(a.out, r)
	}
	return nil
}

// extcapText leaves out what the protocol's sentences are made of.
func extcapText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '{' || r == '}' || r < ' ' {
			return '_'
		}
		return r
	}, s)
}

// asksExtcap tells whether Wireshark has called us: it runs what lies in its folder with its own options, and no command.
func asksExtcap(args []string) bool {
	return slices.ContainsFunc(args, func(s string) bool {
		return strings.HasPrefix(s, "--extcap-interface") // --extcap-interfaces, --extcap-interface X, --extcap-interface=X
	}) && !slices.Contains(args, "extcap")
}
