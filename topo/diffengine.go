package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// hosts compares the machines themselves.
func (d *differ) hosts() {
	facts := func(s *graphSide) (out []fact) {
		for _, src := range s.g.index().sources {
			h := &src.snap.Host
			key := h.Name
			if len(s.g.Hosts) == 1 {
				key = "" // two hosts may be compared
			}
			if src.outer != nil {
				continue
			}
			out = append(out, fact{key: key, what: "host " + h.Name, host: src.place, attrs: []attr{{name: "name", text: h.Name, quiet: true}, {name: "kernel", text: h.Kernel}, {name: "os", text: h.OS},
				{name: "boot", text: bootOf(src.snap), quiet: true}}})
		}
		return out
	}
	d.at = where{}
	d.compare(ChangeHost, facts(d.a), facts(d.b))
}

// engines compares what the engines say.
func (d *differ) engines() {
	d.at = where{}
	d.compare(ChangeEngine, d.a.engineFacts(), d.b.engineFacts())
	d.compare(ChangeFlannel, d.a.flannelFacts(), d.b.flannelFacts())
	d.nodes(KindNetwork, ChangeNetwork, (*graphSide).networkAttrs)
	d.nodes(KindService, ChangeService, (*graphSide).serviceAttrs)
	d.nodes(KindContainer, ChangeContainer, (*graphSide).containerAttrs)
}

func (s *graphSide) engineFacts() (out []fact) {
	for _, src := range s.g.index().sources {
		for i := range src.snap.Host.Engines {
			e := &src.snap.Host.Engines[i]
			f := fact{key: s.place(src.place) + " " + e.ID, what: "engine " + e.ID, host: src.place, attrs: []attr{{name: "version", text: e.Version}, {name: "answers", text: yesNo(e.Reachable)}, {name: "read by", text: e.Source},
				{name: "error", text: e.Error}, {name: "api", text: e.APIVersion}, {name: "endpoint", text: e.Endpoint, quiet: true}, {name: "pid", text: num(e.PID), quiet: true}}}
			if w := e.Swarm; w != nil {
				f.attrs = append(f.attrs, attr{name: "swarm", text: w.State}, attr{name: "manager", text: yesNo(w.Manager)})
				for _, n := range w.Nodes {
					f.attrs = append(f.attrs, attr{name: "node " + cmp.Or(n.Name, n.ID), text: strings.TrimSpace(n.Role + " " + n.State + " " + n.Addr)})
				}
			}
			out = append(out, f)
		}
	}
	return out
}

func (s *graphSide) flannelFacts() (out []fact) {
	for _, src := range s.g.index().sources {
		for i := range src.snap.Flannel {
			v := &src.snap.Flannel[i]
			f := fact{key: s.place(src.place) + v.Path, what: "flannel " + v.Path, host: src.place}
			head := *v
			head.Leases, head.Path = nil, ""
			f.attrs = flatten(nil, "", head)
			for _, l := range v.Leases {
				f.attrs = append(f.attrs, attr{name: "lease " + l.Subnet.String(), text: strings.TrimSpace(l.PublicIP.String() + " " + l.VtepMAC)})
			}
			out = append(out, f)
		}
	}
	return out
}

// nodes compares the nodes of a kind: by id and, where that is gone and another one has its name now, by that.
func (d *differ) nodes(kind Kind, change ChangeKind, attrs func(*graphSide, *Node) []attr) {
	lists := [2][]*Node{d.a.ofKind(kind), d.b.ofKind(kind)}
	name := func(s *graphSide, n *Node) string { return s.place(n.Host) + "\x00" + n.Attrs.Engine + "\x00" + n.Name }
	ids := [2]map[string]bool{{}, {}}
	for i, l := range lists {
		for _, n := range l {
			ids[i][n.ID] = true
		}
	}
	// What is new by its id on one side, by name: one alone has to have it.
	fresh := [2]map[string]int{{}, {}}
	for i, l := range lists {
		for _, n := range l {
			if !ids[1-i][n.ID] {
				fresh[i][name([]*graphSide{d.a, d.b}[i], n)]++
			}
		}
	}
	facts := func(i int) (out []fact) {
		s := []*graphSide{d.a, d.b}[i]
		for _, n := range lists[i] {
			key, nm := n.ID, name(s, n)
			if !ids[1-i][n.ID] && fresh[0][nm] == 1 && fresh[1][nm] == 1 {
				key = nm
			}
			f := fact{key: key, what: string(kind) + " " + n.Name, node: n.ID, host: n.Host, attrs: append(attrs(s, n), attr{name: "name", text: n.Name, quiet: true}, attr{name: "id", text: idStart(n), quiet: true})}
			if id := n.Attrs.EngineID; id != "" && d.engineGone(i, id) {
				f.follows = func(op ChangeOp) bool { return op != Changed }
			}
			out = append(out, f)
		}
		return out
	}
	d.compare(change, facts(0), facts(1))
}

// engineGone tells whether the engine of side i is unknown on the other side: with it went all that it says.
func (d *differ) engineGone(i int, id string) bool {
	other := []*graphSide{d.b, d.a}[i]
	for _, src := range other.g.index().sources {
		if slices.ContainsFunc(src.snap.Host.Engines, func(e snapshot.Engine) bool { return e.ID == id }) {
			return false
		}
	}
	return true
}

func idStart(n *Node) string {
	id := cmp.Or(n.Attrs.ContainerID, n.Attrs.NetworkID, n.Attrs.ServiceID)
	return id[:min(len(id), 12)]
}

func (s *graphSide) ofKind(kind Kind) (out []*Node) {
	for i := range s.g.Nodes {
		if s.g.Nodes[i].Kind == kind {
			out = append(out, &s.g.Nodes[i])
		}
	}
	return out
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (s *graphSide) containerAttrs(n *Node) []attr {
	out := []attr{{name: "state", text: n.Attrs.State}, {name: "image", text: n.Attrs.Image}, {name: "mode", text: n.Attrs.Mode}, {name: "pid", text: num(n.Attrs.PID), quiet: true}}
	if in, ok := s.g.Netns(n); ok {
		out = append(out, attr{name: "netns", text: shortOf(in), quiet: true})
	}
	w := s.g.Workload(n)
	if w == nil {
		return out
	}
	for _, e := range w.Endpoints {
		var words []string
		for _, p := range []string{prefixText(e.Addr.IsValid(), e.Addr), prefixText(e.Addr6.IsValid(), e.Addr6), e.MAC} {
			if p != "" {
				words = append(words, p)
			}
		}
		out = append(out, attr{name: "network " + e.NetworkName, text: cmp.Or(strings.Join(words, " "), "joined")})
	}
	dns := strings.Join(append(append(slices.Clone(w.DNS.Servers), w.DNS.Search...), w.DNS.Options...), " ")
	return append(out, attr{name: "ports", text: strings.Join(portStrings(w.Ports), " ")}, attr{name: "dns", text: dns, quiet: true}, attr{name: "hostname", text: w.Hostname, quiet: true})
}

func prefixText(ok bool, p fmt.Stringer) string {
	if !ok {
		return ""
	}
	return p.String()
}

func (s *graphSide) networkAttrs(n *Node) []attr {
	out := []attr{{name: "driver", text: n.Attrs.Driver}, {name: "subnets", text: strings.Join(n.Attrs.Subnets, " ")}, {name: "gateways", text: strings.Join(n.Attrs.Gateways, " ")}, {name: "scope", text: n.Attrs.Scope, quiet: true}}
	w := s.g.Network(n)
	if w == nil {
		return out
	}
	var peers []string
	for _, p := range w.Peers {
		peers = append(peers, strings.TrimSpace(p.Name+" "+p.Addr.String()))
	}
	out = append(out, attr{name: "vnis", text: strings.Trim(fmt.Sprint(w.VNIs), "[]")}, attr{name: "bridge", text: w.Bridge}, attr{name: "parent", text: w.Parent},
		attr{name: "internal", text: yesNo(w.Internal), quiet: true}, attr{name: "encrypted", text: yesNo(w.Encrypted), quiet: true}, attr{name: "attachable", text: yesNo(w.Attachable), quiet: true},
		attr{name: "ipv6", text: yesNo(w.IPv6), quiet: true})
	if len(peers) > 0 {
		out = append(out, attr{name: "peers", text: strings.Join(peers, ", ")})
	}
	at := len(out)
	out = flatten(out, "option", w.Options)
	for i := at; i < len(out); i++ {
		out[i].quiet = true
	}
	return out
}

func (s *graphSide) serviceAttrs(n *Node) []attr {
	out := []attr{{name: "mode", text: n.Attrs.Mode}, {name: "image", text: n.Attrs.Image}}
	v := s.g.Service(n)
	if v == nil {
		return out
	}
	var vips []string
	for _, p := range v.VIPs {
		vips = append(vips, p.Addr.String())
	}
	out = append(out, attr{name: "image", text: v.Image}, attr{name: "replicas", text: num(v.Replicas)}, attr{name: "endpoints", text: v.EndpointMode}, attr{name: "vips", text: strings.Join(sortAddrs(vips), " ")},
		attr{name: "ports", text: strings.Join(portStrings(v.Ports), " ")}, attr{name: "networks", text: strings.Join(v.Networks, " "), quiet: true})
	for i := range v.Tasks {
		t := &v.Tasks[i]
		name := fmt.Sprintf("task %d", t.Slot)
		if t.Slot == 0 {
			name = "task on " + cmp.Or(t.NodeName, t.NodeID)
		}
		var addrs []string
		for _, a := range t.Addrs {
			addrs = append(addrs, a.Addr.Addr().String())
		}
		for n := 2; slices.ContainsFunc(out, func(a attr) bool { return a.name == name }); n++ {
			name = fmt.Sprintf("task %d (%d)", t.Slot, n) // of an update: the old one ends while the new one starts
		}
		text := t.State
		if node := cmp.Or(t.NodeName, t.NodeID); node != "" && t.Slot != 0 {
			text += " on " + node
		}
		out = append(out, attr{name: name, text: strings.TrimSpace(text + " " + strings.Join(sortAddrs(addrs), " ")), quiet: true})
	}
	return out
}

// gaps compares what could not be read.
func (d *differ) gaps() {
	facts := func(s *graphSide) (out []fact) {
		for i := range s.g.Gaps {
			gp := &s.g.Gaps[i]
			what := "gap " + gp.Reader
			if gp.Namespace != "" {
				what += " of netns " + gp.Namespace.Short()
			}
			f := fact{key: fmt.Sprint(s.place(gp.Host), gp.Namespace, gp.Reader, gp.Error), what: what, host: gp.Host, attrs: []attr{{text: gp.Error}}}
			f.node, _ = s.netnsOf(gp.Namespace)
			out = append(out, f)
		}
		return out
	}
	d.at = where{rank: 9}
	d.compare(ChangeGap, facts(d.a), facts(d.b))
}

func (s *graphSide) netnsOf(id snapshot.NSID) (string, bool) {
	for i := range s.g.Nodes {
		if n := &s.g.Nodes[i]; id != "" && n.Kind == KindNetns {
			if sp := s.space(n); sp != nil && sp.ns.ID == id {
				return n.ID, true
			}
		}
	}
	return "", false
}
