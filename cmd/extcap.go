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
				return nil // the capture filter is all there is
			case capture:
				if fifo == "" {
					return usagef("--capture needs --fifo FILE")
				}
				err := a.capture(c.Context(), &captureFlags{write: fifo, expr: filter}, []string{strings.TrimPrefix(iface, extcapPrefix)})
				if errors.Is(err, syscall.EPIPE) {
					return nil // Wireshark has closed it: that is how a capture ends
				}
				return err
			}
			return usagef("extcap: what of %s? --extcap-dlts, --extcap-config or --capture", iface)
		},
	}
	f := c.Flags()
	f.BoolVar(&interfaces, "extcap-interfaces", false, "list the interfaces")
	f.BoolVar(&dlts, "extcap-dlts", false, "list an interface's link types")
	f.BoolVar(&config, "extcap-config", false, "list an interface's options")
	f.BoolVar(&capture, "capture", false, "capture into --fifo")
	f.StringVar(&iface, "extcap-interface", "", "the interface's `NAME`")
	f.StringVar(&fifo, "fifo", "", "`FILE` to write pcapng to")
	f.StringVar(&filter, "extcap-capture-filter", "", "the `FILTER` of nscope capture")
	f.StringVar(&version, "extcap-version", "", "`VERSION` of Wireshark that asks")
	return c
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
