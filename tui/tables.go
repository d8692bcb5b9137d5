package tui

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// rateColumns are packets, bytes and drops per second, and the packets of the last while as a sparkline.
func rateColumns(rank int) []column {
	number := func(pick func(rate) float64) func(*env, *tableRow) float64 {
		return func(e *env, r *tableRow) float64 {
			x, _ := e.rates.of(r.links)
			return pick(x)
		}
	}
	text := func(pick func(rate) float64, st style) func(*env, *tableRow) (string, style) {
		return func(e *env, r *tableRow) (string, style) {
			x, ok := e.rates.of(r.links)
			switch v := pick(x); {
			case !ok:
				return "", plain
			case v == 0:
				return "0", faint
			default:
				return perSecond(v), st
			}
		}
	}
	packets := func(r rate) float64 { return r.packets }
	bytes := func(r rate) float64 { return r.bytes }
	drops := func(r rate) float64 { return r.drops }
	return []column{
		{name: "PKT/S", right: true, rank: rank, least: 6, live: text(packets, plain), number: number(packets)},
		{name: "B/S", right: true, rank: rank + 1, least: 5, live: text(bytes, plain), number: number(bytes)},
		{name: "DROP/S", right: true, rank: rank + 2, least: 6, live: text(drops, bad), number: number(drops)},
		{name: "TREND", rank: rank + 3, least: 8, live: func(e *env, r *tableRow) (string, style) {
			past := e.rates.past(r.links, 12)
			return e.look.sparkline(past), wire
		}, number: number(packets)},
	}
}

func newContainers(e *env) view {
	columns := append([]column{
		{name: "NAME", least: 14}, {name: "ENGINE", rank: 10, least: 6}, {name: "MODE", rank: 3, least: 9}, {name: "STATE", rank: 11, wide: true},
		{name: "PID", right: true, rank: 9, least: 6}, {name: "NETNS", rank: 12, wide: true}, {name: "ADDRESS", rank: 2, least: 15}, {name: "WIRE", rank: 4, least: 20},
	}, rateColumns(5)...)
	columns = append(columns, column{name: "PORTS", rank: 13, least: 8}, column{name: "NETWORKS", rank: 14, least: 8, wide: true}, column{name: "IMAGE", rank: 15, least: 8, wide: true})
	return newTable(e, "container", "containers", columns, func(e *env) []tableRow {
		var rows []tableRow
		for _, r := range e.state.Graph.PS() {
			rows = append(rows, tableRow{id: r.ID, group: r.Host, style: work, links: e.linksOf(r.ID), cells: []string{
				shortTask(r.Name), r.Engine, r.Mode, r.State, number(r.PID), inode(r.Netns), strings.Join(r.Addresses, " "), strings.Join(e.arrows(r.Wires), ", "),
				"", "", "", "", strings.Join(e.arrows(r.Ports), " "), strings.Join(r.Networks, " "), r.Image,
			}})
		}
		return rows
	})
}

func newNamespaces(e *env) view {
	columns := append([]column{
		{name: "NETNS", least: 10}, {name: "ROLE", rank: 2, least: 9}, {name: "NAME", rank: 1, least: 14}, {name: "NETWORK", rank: 4, least: 8},
		{name: "LINKS", right: true, rank: 5, least: 5}, {name: "PROCS", right: true, rank: 6, least: 5}, {name: "HOLDERS", rank: 7, least: 10},
		{name: "CONTAINERS", rank: 12, least: 10}, {name: "COOKIE", wide: true, rank: 13},
	}, rateColumns(8)...)
	return newTable(e, "namespace", "namespaces", columns, func(e *env) []tableRow {
		var rows []tableRow
		for _, r := range e.state.Graph.NS() {
			rows = append(rows, tableRow{id: r.ID, group: r.Host, style: space, links: e.linksOf(r.ID), cells: []string{
				inode(r.Inode), r.Role, r.Name, r.Network, strconv.Itoa(r.Links), strconv.Itoa(r.Procs), r.Holders, shortTask(strings.Join(r.Containers, " ")), number(int(r.Cookie)), "", "", "", "",
			}})
		}
		return rows
	})
}

func newNetworks(e *env) view {
	columns := append([]column{
		{name: "NAME", least: 12}, {name: "DRIVER", rank: 2, least: 7}, {name: "SCOPE", rank: 10, least: 5}, {name: "SUBNET", rank: 1, least: 15}, {name: "GATEWAY", rank: 9, least: 10},
		{name: "VNI", right: true, rank: 4, least: 5}, {name: "CARRIED BY", rank: 3, least: 12}, {name: "MEMBERS", right: true, rank: 5, least: 7}, {name: "ENGINE", rank: 11, least: 6},
	}, rateColumns(6)...)
	return newTable(e, "network", "networks", columns, func(e *env) []tableRow {
		var rows []tableRow
		g := e.state.Graph
		e.each(topo.KindNetwork, func(n *topo.Node) {
			var carriers, links []string
			for _, c := range g.In(n.ID, topo.EdgeCarries) {
				x := e.node(c.From)
				if x == nil {
					continue
				}
				carriers = append(carriers, nodeName(x))
				if x.Kind == topo.KindLink {
					links = append(links, x.ID)
				} else {
					links = append(links, e.bridgesIn(x.ID)...)
				}
			}
			vnis := ""
			for i, v := range n.Attrs.VNIs {
				if i > 0 {
					vnis += " "
				}
				vnis += strconv.Itoa(int(v))
			}
			rows = append(rows, tableRow{id: n.ID, group: n.Host, style: bridge, links: links, cells: []string{
				nodeName(n), n.Attrs.Driver, n.Attrs.Scope, strings.Join(n.Attrs.Subnets, " "), strings.Join(n.Attrs.Gateways, " "), vnis, strings.Join(carriers, " "),
				number(len(g.Members(n))), n.Attrs.Engine, "", "", "", "",
			}})
		})
		return rows
	})
}

func newServices(e *env) view {
	columns := []column{
		{name: "NAME", least: 12}, {name: "MODE", rank: 5, least: 6}, {name: "VIPS", rank: 1, least: 12}, {name: "PORTS", rank: 3, least: 10}, {name: "MARKS", rank: 6, least: 6},
		{name: "MEMBERS", right: true, rank: 2, least: 7}, {name: "WHO", rank: 4, least: 16}, {name: "REPLICAS", right: true, rank: 7, least: 8},
	}
	return newTable(e, "service", "services", columns, func(e *env) []tableRow {
		var rows []tableRow
		g := e.state.Graph
		e.each(topo.KindService, func(n *topo.Node) {
			var who, vips, marks []string
			seen := map[string]bool{}
			for _, b := range g.Out(n.ID, topo.EdgeBackend) {
				name := b.Attrs.Address
				if x := e.node(b.To); x != nil {
					name = nodeName(x)
				}
				if !seen[b.To] {
					who = append(who, shortTask(name))
				}
				seen[b.To] = true
			}
			if s := g.Service(n); s != nil && len(s.Tasks) > 0 { // what the engine runs, wherever it does
				who = who[:0]
				for _, t := range s.Tasks {
					if t.State == "running" || t.State == "" {
						who = append(who, cmp.Or(shortTask(t.Name), t.ID))
					}
				}
			} else {
				who = append(who, n.Attrs.Backends...)
			}
			for _, v := range n.Attrs.VIPs {
				vips = append(vips, bareAddr(v))
			}
			for _, v := range n.Attrs.Marks {
				marks = append(marks, fmt.Sprintf("0x%x", v))
			}
			rows = append(rows, tableRow{id: n.ID, group: n.Host, style: work, cells: []string{
				nodeName(n), strings.TrimSpace(n.Attrs.Mode + " " + n.Attrs.EndpointMode), strings.Join(vips, " "), strings.Join(e.arrows(n.Attrs.Ports), " "), strings.Join(marks, " "),
				strconv.Itoa(len(who)), strings.Join(who, ", "), number(int(n.Attrs.Replicas)),
			}})
		})
		return rows
	})
}

func newLinks(e *env) view {
	columns := append([]column{
		{name: "NAME", least: 10}, {name: "TYPE", rank: 4, least: 6}, {name: "STATE", rank: 5, least: 5}, {name: "IN", rank: 2, least: 12}, {name: "PEER", rank: 1, least: 18},
		{name: "BRIDGE", rank: 3, least: 8}, {name: "ADDRESS", rank: 6, least: 12}, {name: "MTU", right: true, rank: 12, least: 5}, {name: "MAC", wide: true, rank: 13, least: 17},
	}, rateColumns(7)...)
	return newTable(e, "link", "links", columns, func(e *env) []tableRow {
		var rows []tableRow
		g := e.state.Graph
		e.each(topo.KindLink, func(n *topo.Node) {
			if n.Attrs.Type == "loopback" && !e.wide {
				return
			}
			in := ""
			if ns, ok := g.Netns(n); ok {
				in = e.owner(ns)
			}
			master := ""
			if m := g.Master(n); m != nil {
				master = nodeName(m)
			}
			st := wire
			switch {
			case n.Attrs.Type == "bridge" || n.Attrs.Type == "vxlan":
				st = bridge
			case n.Attrs.Type == "device":
				st = nic
			}
			rows = append(rows, tableRow{id: n.ID, group: n.Host, style: st, links: []string{n.ID}, cells: []string{
				nodeName(n), n.Attrs.Type, n.Attrs.State, in, e.farEnd(n), master, strings.Join(mainAddrs(n.Attrs.Addrs), " "), number(n.Attrs.MTU), n.Attrs.MAC, "", "", "", "",
			}})
		})
		// The host's first, then those of each namespace together.
		homely := func(r *tableRow) int {
			if n := e.node(r.id); n != nil && home(g, n.Attrs.Netns) {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(rows, func(a, b tableRow) int {
			return cmp.Or(strings.Compare(a.group, b.group), cmp.Compare(homely(&a), homely(&b)), render.Natural(a.cells[3], b.cells[3]))
		})
		return rows
	})
}

// mainAddrs are a link's addresses without the link-local ones, unless there are no others.
func mainAddrs(all []string) []string {
	var out []string
	for _, s := range all {
		if p, err := netip.ParsePrefix(s); err != nil || !p.Addr().IsLinkLocalUnicast() {
			out = append(out, s)
		}
	}
	if out == nil {
		return all
	}
	return out
}

func bareAddr(s string) string {
	a, _, _ := strings.Cut(s, "/")
	return a
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func inode(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// shortTask is the name of a swarm task's container without the task's id.
func shortTask(s string) string { return render.ShortTask(s) }
