package cmd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/conntrack"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// connFlags are the flags of conns, as they were given.
type connFlags struct {
	proto, state, mark string
	addrs              []string
	ports              []uint
	zone               int
	limit              int
}

func newConns(a *app) *cobra.Command {
	f := &connFlags{}
	c := &cobra.Command{
		Use:   "conns [flags] [TARGET]",
		Short: "List connections that a namespace tracks, with NAT and names",
		Long: `List the connections that the network namespace of TARGET (default: host)
tracks: entries of conntrack, and those that IPVS balances. Where addresses are
translated, both are shown: what the client asked for, and who serves it. The
first line says how many entries there are of how many that may be, and what
was dropped for want of room.

Filters can be repeated and combined; an address or port is looked for at both
ends, before and after translation. A snapshot holds numbers, no connections.`,
		Example: `  nscope conns
  nscope conns web --proto tcp --port 80
  nscope conns lb_gz7t7pfi8 --addr 10.0.1.0/24
  nscope conns host --addr web --state SYN_SENT
  nscope conns host -o json | jq '.conns[] | select(.server)'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.conns(c.Context(), cmpTarget(args), f)
		},
		ValidArgsFunction: a.completeTarget,
	}
	a.outputFlag(c, "table", "wide", "json", "yaml")
	c.Flags().StringVar(&f.proto, "proto", "", "only this `PROTOCOL`: tcp, udp, icmp, icmpv6, sctp … or its number")
	c.Flags().UintSliceVar(&f.ports, "port", nil, "only with this `PORT` at one end; repeat for several")
	c.Flags().StringSliceVar(&f.addrs, "addr", nil, "only with this `ADDRESS` at one end: an address, a net, or a TARGET that has addresses")
	c.Flags().StringVar(&f.state, "state", "", "only in this `STATE`: ESTABLISHED, SYN_SENT, TIME_WAIT …")
	c.Flags().StringVar(&f.mark, "mark", "", "only with this `MARK[/MASK]`")
	c.Flags().IntVar(&f.zone, "zone", -1, "only in this `ZONE`")
	c.Flags().IntVar(&f.limit, "limit", 100, "list at most this `NUMBER` of each kind; 0 is all")
	_ = c.RegisterFlagCompletionFunc("proto", cobra.FixedCompletions([]string{"tcp", "udp", "icmp", "icmpv6", "sctp", "gre"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func cmpTarget(args []string) string {
	if len(args) == 0 {
		return "host"
	}
	return args[0]
}

// connList is `conns -o json`.
type connList struct {
	Netns string `json:"netns"` // id of the node
	// Count and Max are of conntrack; Max is that of each namespace. Null: the kernel has no conntrack.
	Count *uint64 `json:"count"`
	Max   *uint64 `json:"max"`
	// Stats are conntrack's counters, zeros left out.
	Stats map[string]uint64 `json:"stats"`
	// Matched is how many entries of conntrack match, of which at most Limit are listed (0: no limit); absent where none was read.
	Matched *int `json:"matched,omitempty"`
	Limit   int  `json:"limit"`
	// More tells that not all that match are listed.
	More  bool           `json:"more"`
	Conns []topo.ConnRow `json:"conns"`
}

func (a *app) conns(ctx context.Context, target string, flags *connFlags) error {
	var opts []inspect.Option
	if len(a.from) == 0 {
		opts = append(opts, inspect.WithDepth(inspect.Topology))
	}
	g, err := a.graph(ctx, target, opts...)
	if err != nil {
		return err
	}
	filter, err := flags.filter(g)
	if err != nil {
		return err
	}
	l, err := a.connTarget(g, target)
	if err != nil {
		return err
	}
	out := connList{Netns: l.ns.ID, Limit: flags.limit, Conns: []topo.ConnRow{}}
	if len(a.from) > 0 {
		raw := g.Namespace(l.ns)
		out.numbers(raw.Sysctls, raw.Counters)
		fmt.Fprintln(a.err, "nscope: note: a snapshot holds no connections, only how many there were: run conns on the host itself")
	} else {
		h, err := a.connHandle(ctx, target, l)
		if err != nil {
			return err
		}
		defer h.Close()
		found, err := inspect.ReadConns(h, filter, flags.limit)
		if err != nil {
			return netns.Denied(l.name, err)
		}
		for _, gap := range found.Gaps {
			fmt.Fprintf(a.err, "nscope: %s\n", oneLine(connGap(gap)))
		}
		out.numbers(found.Sysctls, found.Counters)
		out.Conns = g.Conns(l.ns, found.Conns, found.Balanced)
		out.More = found.MoreBalanced || found.Matched > len(found.Conns)
		if !slices.ContainsFunc(found.Gaps, func(g snapshot.Gap) bool { return g.Reader == "conntrack" }) {
			out.Matched = &found.Matched
		}
	}
	if ok, err := a.print(out); ok {
		return err
	}
	return a.connTable(&out)
}

// connTarget finds the namespace of target. What is not in a snapshot is unknown, whatever may be entered here.
func (a *app) connTarget(g *topo.Graph, target string) (located, error) {
	if len(a.from) == 0 {
		return locateTarget(g, target)
	}
	n, err := g.Resolve(target)
	if err != nil {
		return located{}, err
	}
	return locate(g, n)
}

func (a *app) connHandle(ctx context.Context, target string, l located) (*netns.Handle, error) {
	if target == "self" {
		return netns.Self()
	}
	return a.opener().open(ctx, l)
}

func connGap(g snapshot.Gap) string {
	text := g.Reader + ": " + strings.TrimPrefix(g.Error, g.Reader+": ")
	if g.Needs != "" {
		text += " (needs " + g.Needs + ")"
	}
	return text
}

// filter reads the flags.
func (f *connFlags) filter(g *topo.Graph) (inspect.ConnFilter, error) {
	out := inspect.ConnFilter{Protocol: strings.ToLower(f.proto), State: f.state}
	if out.Protocol != "" && !conntrack.KnownProtocol(out.Protocol) {
		return out, usagef("--proto: no protocol %q", f.proto)
	}
	for _, p := range f.ports {
		if p == 0 || p > 65535 {
			return out, usagef("--port: %d is no port", p)
		}
		out.Ports = append(out.Ports, uint16(p))
	}
	if f.limit < 0 {
		return out, usagef("--limit: %d is negative", f.limit)
	}
	if f.zone > 65535 || f.zone < -1 {
		return out, usagef("--zone: %d is no zone", f.zone)
	}
	if f.zone >= 0 {
		z := uint16(f.zone)
		out.Zone = &z
	}
	if f.mark != "" {
		mark, mask, masked := strings.Cut(f.mark, "/")
		m, err := strconv.ParseUint(mark, 0, 32)
		if err != nil {
			return out, usagef("--mark: %q is no mark", f.mark)
		}
		k := uint64(1<<32 - 1)
		if masked {
			if k, err = strconv.ParseUint(mask, 0, 32); err != nil || k == 0 {
				return out, usagef("--mark: %q is no mask", mask)
			}
		}
		out.Mark, out.Mask = uint32(m), uint32(k)
	}
	for _, s := range f.addrs {
		p, err := connAddrs(g, s)
		if err != nil {
			return out, err
		}
		out.Addrs = append(out.Addrs, p...)
	}
	return out, nil
}

// connAddrs is what --addr means: an address, a net, or the addresses of a target.
func connAddrs(g *topo.Graph, s string) ([]netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return []netip.Prefix{p.Masked()}, nil
	}
	n, err := g.Resolve(s)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, list := range [][]string{n.Attrs.Addrs, n.Attrs.VIPs} {
		for _, w := range list {
			w, _, _ = strings.Cut(w, "/")
			if a, err := netip.ParseAddr(w); err == nil {
				out = append(out, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	if out == nil {
		return nil, usagef("--addr: %s %q has no address of its own", n.Kind, n.Name)
	}
	return out, nil
}

// numbers fills what is known without entries.
func (l *connList) numbers(sysctls map[string]string, counters map[string]uint64) {
	number := func(key string) *uint64 {
		v, err := strconv.ParseUint(sysctls[key], 10, 64)
		if err != nil {
			return nil
		}
		return &v
	}
	l.Count, l.Max = number("net.netfilter.nf_conntrack_count"), number("net.netfilter.nf_conntrack_max")
	l.Stats = map[string]uint64{}
	for k, v := range counters {
		if name, ok := strings.CutPrefix(k, "conntrack."); ok && name != "entries" {
			l.Stats[name] = v
		}
	}
}

// head is the first line: how full the table is, and what went wrong for it.
func (l *connList) head() string {
	if l.Count == nil {
		return "no connection tracking in this kernel"
	}
	s := fmt.Sprintf("conntrack: %d entries", *l.Count)
	if l.Max != nil {
		s += fmt.Sprintf(" of at most %d", *l.Max)
	}
	for _, k := range []string{"insert_failed", "drop", "early_drop"} {
		s += fmt.Sprintf(", %s %d", k, l.Stats[k])
	}
	return s
}

func (a *app) connTable(l *connList) error {
	fmt.Fprintln(a.out, l.head())
	if len(l.Conns) == 0 {
		if l.Matched != nil && l.Count != nil && *l.Count > 0 {
			fmt.Fprintln(a.out, "no connection matches")
		}
		return nil
	}
	t := render.Table{Columns: []render.Column{
		{Name: "BY"}, {Name: "PROTO"}, {Name: "STATE", Rank: 1}, {Name: "FROM", Rank: 3, Min: 12}, {Name: "TO", Rank: 2, Min: 12},
		{Name: "SERVER", Rank: 2, Min: 12}, {Name: "TRANSLATED", Rank: 4, Min: 12}, {Name: "EXPIRES", Right: true, Rank: 1},
		{Name: "MARK", Wide: true}, {Name: "ZONE", Wide: true}, {Name: "PACKETS", Wide: true, Right: true}, {Name: "BYTES", Wide: true, Right: true},
	}}
	for i := range l.Conns {
		r := &l.Conns[i]
		server := ""
		if r.Server != nil {
			server = r.Server.String()
		}
		state := r.State
		if r.Unreplied && r.By == "conntrack" {
			state = strings.TrimSpace(state + " unreplied")
		}
		mark := ""
		if r.Mark != 0 {
			mark = fmt.Sprintf("%#x (%d)", r.Mark, r.Mark)
		}
		t.Rows = append(t.Rows, []string{
			r.By, r.Proto, dash(state), r.From.String(), r.To.String(), dash(server), dash(r.Translation()), fmt.Sprintf("%d s", r.Expires),
			dash(mark), number(int(r.Zone)), dash(zeroless(r.Packets)), dash(zeroless(r.Bytes)),
		})
	}
	if err := a.table(t, a.output == "wide"); err != nil {
		return err
	}
	if l.More {
		of := "more"
		if l.Matched != nil {
			of = fmt.Sprintf("%d of conntrack's", *l.Matched)
		}
		fmt.Fprintf(a.out, "%d listed, there are %s that match: --limit 0 lists all\n", len(l.Conns), of)
	}
	return nil
}

func zeroless(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
