package cmd

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/probe"
)

// probeKind is one kind of probe on the command line.
type probeKind struct {
	name, short, long, example string
	// args is what stands behind the name: "FROM TO", "FROM TO:PORT".
	args string
	// common are the names of the common flags that it has; flags adds its own.
	common []string
	flags  func(c *cobra.Command, f *probeFlags)
	port   portUse
	// depth is how much is read of the host: sockets only where they are needed.
	depth inspect.Depth
	// lines tells that attempts are shown as they come also where no terminal is.
	lines bool
	// prepare checks the kind's own flags and what TO is; it may be nil.
	prepare func(f *probeFlags, d *dest) error
	run     func(ctx context.Context, k job) (*probe.Result, error)
}

// job is one probe to run from one place.
type job struct {
	*probeFlags
	from *probe.From
	to   probe.To
	o    probe.Options
}

// all common flags, but for some.
func commonBut(not ...string) (out []string) {
	for _, f := range commonFlags {
		if !strings.Contains(" "+strings.Join(not, " ")+" ", " "+f.name+" ") {
			out = append(out, f.name)
		}
	}
	return out
}

// plain runs a probe that has no options of its own.
func plain(f probe.Func) func(ctx context.Context, k job) (*probe.Result, error) {
	return func(ctx context.Context, k job) (*probe.Result, error) { return f(ctx, k.from, k.to, k.o) }
}

// probeKinds is the visible list; listen and matrix, which have no TO, are beside it.
var probeKinds = []probeKind{
	{
		name: "all", args: "FROM TO[:PORT]", short: "Try in order what a person would: route, ping, names, ports, MTU",
		long: `Try what a person would try, in order: has FROM a route, does TO answer pings,
do its names resolve, do the TCP ports answer that it has published or listens
on (or the one port given), how large a packet passes. The first line says the
first thing that fails, as its cause where that is known.`,
		example: "  nscope probe all web db\n  nscope probe all web service:api\n  nscope probe all web db:5432",
		common:  commonBut("size", "src-port"), port: maybePort, depth: inspect.Full, run: plain(probe.All),
		prepare: func(f *probeFlags, d *dest) error { return nil },
	},
	{
		name: "ping", args: "FROM TO", short: "ICMP echo: does it answer, how fast, what is lost",
		long: `Send ICMP or ICMPv6 echo requests. Loss, times, duplicates; an ICMP error is
named with the router that sent it. Success is one answer at least. Without
CAP_NET_RAW an ICMP socket is used where FROM's ping_group_range lets it.`,
		example: "  nscope probe ping web db\n  nscope probe ping web 10.0.1.5 -c 100 -i 0.01\n  nscope probe ping net:backend db --watch\n  nscope probe ping web db -s 1472 --df",
		common:  commonBut("src-port"), lines: true, run: plain(probe.Ping),
		flags: func(c *cobra.Command, f *probeFlags) {
			c.Flags().IntVar(&f.ttl, "ttl", 0, "time to live, or hop limit: `N` routers at most")
			c.Flags().BoolVar(&f.df, "df", false, "don't fragment: a packet too large for the path fails")
		},
	},
	{
		name: "tcp", args: "FROM TO:PORT", short: "Connect to a TCP port: open, refused, filtered, no answer",
		long: `Connect, and say what came: open, refused and by whom, filtered, unreachable,
or nothing. Nothing is sent on the connection. With --hold it is kept open, to
see whether something on the way cuts it.`,
		example: "  nscope probe tcp web db:5432\n  nscope probe tcp web service:api:8080 -c 10\n  nscope probe tcp web '[fd00::5]:443' --hold 10m",
		common:  commonBut("size"), port: needsPort, run: plain(probe.TCP),
		flags: func(c *cobra.Command, f *probeFlags) {
			c.Flags().Var(&f.hold, "hold", "keep the connection open for this `TIME` and see whether it stays so")
		},
	},
	{
		name: "udp", args: "FROM TO:PORT", short: "Send to a UDP port: answered, refused, or silence",
		long: `Send a datagram and wait. An answer proves an open port and "port unreachable" a
closed one; silence is both an open port that has nothing to say and a dropped
packet, and is called "no answer". The kernel limits how many ICMP errors it
sends: where that leaves a doubt, the result is marked "not certain".`,
		example: "  nscope probe udp web db:53\n  nscope probe udp web 10.0.1.5:514 -c 3",
		common:  commonBut(), port: needsPort, run: plain(probe.UDP),
	},
	{
		name: "dns", args: "FROM NAME", short: "Resolve a name as FROM does, every step shown",
		long: `Ask what FROM's own resolver would ask: /etc/hosts, then the servers of its
resolv.conf with search list and ndots, 127.0.0.11 included. Every query is
shown with server, answer and time. With --server only that one is asked.
An address is looked up backwards.`,
		example: "  nscope probe dns web db\n  nscope probe dns web example.com --type MX\n  nscope probe dns web db --server 127.0.0.11\n  nscope probe dns web 10.0.1.5",
		common:  commonBut("size", "src-port", "interval"), depth: inspect.Topology,
		flags: func(c *cobra.Command, f *probeFlags) {
			c.Flags().StringVar(&f.dnsType, "type", "", "`TYPE` of record: A, AAAA, PTR, SRV, MX, TXT, ... (default A and AAAA)")
			c.Flags().StringVar(&f.server, "server", "", "ask this `ADDRESS[:PORT]` instead of FROM's own servers")
			c.Flags().BoolVar(&f.tcp, "tcp", false, "ask by TCP only")
			_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{"A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}, cobra.ShellCompDirectiveNoFileComp))
		},
		prepare: func(f *probeFlags, d *dest) error {
			if f.server == "" {
				return nil
			}
			s, err := parseDest(f.server)
			if err != nil || !s.addr.IsValid() {
				return usagef("--server %q is no address, such as 127.0.0.11 or [fd00::1]:53", f.server)
			}
			return nil
		},
		run: func(ctx context.Context, k job) (*probe.Result, error) {
			q := probe.Question{Type: strings.ToUpper(k.dnsType), TCP: k.tcp}
			if s, err := parseDest(k.server); err == nil {
				a, err := scoped(s.addr, k.from)
				if err != nil {
					return nil, err
				}
				q.Server = netip.AddrPortFrom(a, s.port)
			}
			return probe.DNS(ctx, k.from, k.to, k.o, q)
		},
	},
	{
		name: "http", args: "FROM TO[:PORT] | URL", short: "Ask a web server: status, certificate, where the time went",
		long: `Ask for a page and say the status, the certificate, and where the time went:
name, connection, TLS, first byte. TO may be a URL. The port is 80, with TLS
443. A status of 400 and more is a failure.`,
		example: "  nscope probe http web api:8080\n  nscope probe http web http://api:8080/health\n  nscope probe http host 10.0.1.5 --host shop.example --tls --insecure",
		common:  commonBut("size", "src-port"), port: maybePort, flags: httpFlags, prepare: prepareHTTP,
		run: func(ctx context.Context, k job) (*probe.Result, error) {
			return probe.HTTP(ctx, k.from, k.to, k.o, k.req)
		},
	},
	{
		name: "route", args: "FROM TO[:PORT]", short: "Trace the path: every hop by name, the MTU where it falls",
		long: `Send packets that live for one hop, two hops, and so on, and name who sends
each back: bridge, node, container. By UDP, ICMP, or TCP to a port (80 where
none is given).`,
		example: "  nscope probe route web 8.8.8.8\n  nscope probe route web db:5432 --by tcp\n  nscope probe route node1 node2 --by icmp --max-hops 5",
		common:  commonBut("interval"), port: maybePort,
		flags: func(c *cobra.Command, f *probeFlags) {
			c.Flags().StringVar(&f.by, "by", "udp", "`WHAT` to send: udp, icmp, tcp")
			c.Flags().IntVar(&f.maxHops, "max-hops", 0, "`HOPS` at most (default 30)")
			_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"udp", "icmp", "tcp"}, cobra.ShellCompDirectiveNoFileComp))
		},
		prepare: func(f *probeFlags, d *dest) error {
			switch {
			case f.by != "udp" && f.by != "icmp" && f.by != "tcp":
				return usagef("--by %q: there are udp, icmp, tcp", f.by)
			case f.maxHops < 0 || f.maxHops > 255:
				return usagef("--max-hops %d: from 1 to 255", f.maxHops)
			case d.port != 0 && f.by != "tcp":
				return usagef("a port is asked with --by tcp only")
			}
			return nil
		},
		run: func(ctx context.Context, k job) (*probe.Result, error) {
			return probe.Route(ctx, k.from, k.to, k.o, probe.RouteOptions{By: k.by, MaxHops: k.maxHops, Queries: k.o.Count})
		},
	},
	{
		name: "mtu", args: "FROM TO", short: "The largest packet that passes, and black holes",
		long: `Find the largest IP packet that passes without being fragmented. Where larger
ones vanish without an ICMP error, that is a black hole, and the result says
from which size on.`,
		example: "  nscope probe mtu web db\n  nscope probe mtu web 10.0.1.5",
		common:  commonBut("size", "src-port", "interval"), run: plain(probe.MTU),
	},
	{
		name: "arp", args: "FROM TO", short: "Who answers for an address on this link: every MAC that does",
		long: `Ask by ARP (IPv6: neighbour discovery) who has an address on FROM's own link,
and name every MAC that answers: two are a duplicate address. The kernel's own
neighbour table is neither asked nor changed.`,
		example: "  nscope probe arp web db\n  nscope probe arp host 192.168.1.1 --iface eth0",
		common:  commonBut("size", "src-port"), run: plain(probe.ARP),
	},
	{
		name: "bench", args: "FROM TO[:PORT]", short: "Throughput, latency under load, retransmissions",
		long: `Measure TCP or UDP between two namespaces. Both ends are nscope's own: where TO
is a TARGET on this host nothing needs to listen there; elsewhere run "nscope
probe listen --bench" first and give its port. This is the one probe that
sends as much as it can.`,
		example: "  nscope probe bench web db --for 5s\n  nscope probe bench web db --streams 4 --reverse\n  nscope probe bench web 10.0.1.5:5201 --udp --rate 100M",
		common:  commonBut("count", "interval"), port: maybePort,
		flags: func(c *cobra.Command, f *probeFlags) {
			c.Flags().BoolVar(&f.udp, "udp", false, "datagrams instead of TCP")
			c.Flags().BoolVar(&f.reverse, "reverse", false, "from TO to FROM")
			c.Flags().IntVar(&f.streams, "streams", 1, "`N` connections at once")
			c.Flags().StringVar(&f.rate, "rate", "", "UDP: at most so many `BITS` a second (100M, 1.5G)")
		},
		prepare: func(f *probeFlags, d *dest) error {
			if f.streams < 1 || f.streams > 128 {
				return usagef("--streams %d: from 1 to 128", f.streams)
			}
			if f.rate != "" && !f.udp {
				return usagef("--rate is for --udp: TCP finds its own")
			}
			_, err := parseRate(f.rate)
			return err
		},
		run: func(ctx context.Context, k job) (*probe.Result, error) {
			rate, _ := parseRate(k.rate)
			return probe.Bench(ctx, k.from, k.to, k.o, probe.BenchOptions{UDP: k.udp, Reverse: k.reverse, Streams: k.streams, Rate: rate})
		},
	},
}

func httpFlags(c *cobra.Command, f *probeFlags) {
	c.Flags().BoolVar(&f.req.TLS, "tls", false, "https")
	c.Flags().BoolVar(&f.req.HTTP2, "http2", false, "HTTP/2, without TLS too")
	c.Flags().BoolVar(&f.head, "head", false, "HEAD instead of GET")
	c.Flags().StringVar(&f.req.Host, "host", "", "`NAME` of the Host header and for TLS (default: what TO is called)")
	c.Flags().StringVar(&f.req.Path, "path", "", "`PATH` of the page (default /)")
	c.Flags().BoolVar(&f.req.Insecure, "insecure", false, "accept any certificate, and say what is wrong with it")
	c.Flags().StringArrayVar(&f.req.Headers, "header", nil, "add the header `NAME: VALUE`; repeat for more")
}

// prepareHTTP fills in the request, also of a URL in place of TO.
func prepareHTTP(f *probeFlags, d *dest) error {
	if f.head {
		f.req.Method = "HEAD"
	}
	for _, h := range f.req.Headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(h, "\r\n") {
			return usagef("--header %q is no \"Name: value\"", h)
		}
	}
	if f.req.Path == "" {
		f.req.Path = "/"
	}
	if !strings.HasPrefix(f.req.Path, "/") {
		return usagef("--path %q does not begin with /", f.req.Path)
	}
	if d.port == 0 {
		d.port = 80
		if f.req.TLS {
			d.port = 443
		}
	}
	return nil
}

// cutURL takes a URL apart: what is left is TO, which may be a TARGET in an explicit form.
func cutURL(f *probeFlags, text string) (string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text, nil
	}
	if scheme != "http" && scheme != "https" {
		return "", usagef("%q: only http and https are known here", scheme+"://")
	}
	host, page := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, page = rest[:i], rest[i:]
	}
	u, err := url.Parse("http://host" + page)
	if err != nil || host == "" || strings.ContainsAny(host, "@ ") {
		return "", usagef("%q is no URL of a page", text)
	}
	f.req.TLS = f.req.TLS || scheme == "https"
	if d, err := parseDest(host); f.req.Host == "" && err == nil && (d.bare || d.named || d.addr.IsValid()) {
		f.req.Host = strings.TrimPrefix(host, "name:")
	}
	if f.req.Path == "" {
		f.req.Path = u.RequestURI()
	}
	return host, nil
}

func newProbe(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "probe KIND FROM TO",
		Short: "Ask from inside any network namespace: ping, tcp, dns, http, route, ...",
		Long: `Ask from inside the network namespace of a container, with nothing installed
there: does it answer, is the port open, what does the name server say, where
does the path go, how large a packet passes.

FROM is any TARGET: a container, netns:INODE, pid:N, path:FILE, host, self. Also
net:NAME, service:NAME, stack:NAME or all: each member here, all at once.

TO is a TARGET by its whole name or in an explicit form (container:db,
service:web), an address, or a name, with :PORT where one is needed
([fd00::1]:80). What is called so here wins over a name; name:db is always a
name, and every other word is one too: FROM's own resolver is asked for it.

The exit code is 0 if it works, 1 if not, 2 for a wrong command line, 3 where a
privilege is missing. Ctrl-C ends a probe and prints what is known so far.`,
		Example: `  nscope probe all web db           what a person would try, in order
  nscope probe ping web db
  nscope probe tcp web db:5432
  nscope probe dns web db
  nscope probe http web http://api:8080/health
  nscope probe matrix net:backend   everyone to everyone`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			msg := fmt.Sprintf("there is no probe %q", args[0])
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				msg += ": did you mean " + strings.Join(near, " or ") + "?"
			}
			return usagef("%s\nsee: %s --help", msg, c.CommandPath())
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	for i := range probeKinds {
		c.AddCommand(newProbeKind(a, &probeKinds[i]))
	}
	c.AddCommand(newListen(a), newMatrix(a))
	return c
}

func newProbeKind(a *app, kind *probeKind) *cobra.Command {
	f := &probeFlags{}
	c := &cobra.Command{
		Use:     kind.name + " " + kind.args,
		Short:   kind.short,
		Long:    kind.long,
		Example: kind.example,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("probe %s takes %s, got %d arguments\nsee: %s --help", kind.name, kind.args, len(args), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.from) > 0 {
				return usagef("probe asks on this host: it cannot be used with --from")
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			d, err := kind.dest(f, args[1])
			if err != nil {
				return err
			}
			return a.probe(c.Context(), kind, f, o, args[0], d)
		},
		ValidArgsFunction: a.completeProbe,
	}
	a.outputFlag(c, "text", "json", "yaml")
	addCommon(c, f, kind.common)
	if kind.flags != nil {
		kind.flags(c, f)
	}
	return c
}

func addCommon(c *cobra.Command, f *probeFlags, names []string) {
	for _, x := range commonFlags {
		for _, name := range names {
			if name == x.name {
				x.add(c, f)
			}
		}
	}
}

// dest takes TO apart and checks it.
func (kind *probeKind) dest(f *probeFlags, text string) (d dest, err error) {
	switch kind.name {
	case "dns":
		// A name, not a TARGET: "service:web" is what others call web.
		d = dest{asked: text, host: text, named: true}
		for _, word := range []string{"name:", "container:", "service:"} {
			d.host = strings.TrimPrefix(d.host, word)
		}
		if d.host == "" || strings.ContainsAny(d.host, " /\t") {
			return d, usagef("%q is no name", text)
		}
	case "http":
		if text, err = cutURL(f, text); err != nil {
			return d, err
		}
		fallthrough
	default:
		if d, err = parseDest(text); err != nil {
			return d, err
		}
		if err := d.checkPort(kind.name, kind.port); err != nil {
			return d, err
		}
	}
	if kind.prepare != nil {
		err = kind.prepare(f, &d)
	}
	return d, err
}
