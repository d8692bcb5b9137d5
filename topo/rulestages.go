package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// RuleStage is what packets pass besides firewall rules: a BPF program, a filter or a queue of traffic control.
type RuleStage struct {
	// At is the place: "xdp generic", "tcx ingress", "tc ingress", "tc egress", "qdisc", "class", "cgroup inet4 connect", "sk lookup" ….
	At string `json:"at"`
	// Link is the link's name, Cgroup the cgroup's path: one of them, or neither for the namespace itself.
	Link   string `json:"link,omitempty"`
	Cgroup string `json:"cgroup,omitempty"`
	// Text says what stands there.
	Text string `json:"text"`
	// Packets, Bytes and Drops are absent for what does not count.
	Packets *uint64 `json:"packets,omitempty"`
	Bytes   *uint64 `json:"bytes,omitempty"`
	Drops   *uint64 `json:"drops,omitempty"`
}

// stagesOf fills what packets pass besides rules, in the order in which the kernel calls it: on the way in XDP in the driver, XDP
// generic, tcx, filters of traffic control; on the way out tcx (or netkit's), filters, the queue with its classes; then what sockets
// are asked. Links that touches refuses are left out; sockets of a namespace that packets only pass through have no say.
func (sp *space) stagesOf(out *RuleSpace, touches func(link int) bool, sockets bool, o RuleOptions) {
	name := func(i int) string {
		if l := sp.byIdx[i]; l != nil {
			return l.l.Name
		}
		return fmt.Sprintf("ifindex %d", i)
	}
	add := func(list *[]RuleStage, s RuleStage) {
		if o.Used && s.Packets != nil && *s.Packets == 0 {
			return
		}
		*list = append(*list, s)
	}
	out.Ingress, out.Egress, out.Sockets = []RuleStage{}, []RuleStage{}, []RuleStage{}
	for i := range sp.ns.Links {
		l := &sp.ns.Links[i]
		if touches != nil && !touches(l.Index) {
			continue
		}
		for _, p := range programsAt(sp.ns, l.Index, "xdp") {
			add(&out.Ingress, RuleStage{At: strings.TrimSpace("xdp " + p.Mode), Link: l.Name, Text: programText(p.Name, p.ID, p.Tag)})
		}
		for _, p := range programsAt(sp.ns, l.Index, "tcx_ingress") {
			add(&out.Ingress, RuleStage{At: "tcx ingress", Link: l.Name, Text: programText(p.Name, p.ID, p.Tag)})
		}
		sp.filtersAt(l, "ingress", name, func(s RuleStage) { add(&out.Ingress, s) })

		for _, attach := range []string{"netkit_primary", "netkit_peer", "tcx_egress"} {
			for _, p := range programsAt(sp.ns, l.Index, attach) {
				add(&out.Egress, RuleStage{At: strings.ReplaceAll(attach, "_", " "), Link: l.Name, Text: programText(p.Name, p.ID, p.Tag)})
			}
		}
		sp.filtersAt(l, "egress", name, func(s RuleStage) { add(&out.Egress, s) })
		sp.queuesOf(l, name, func(s RuleStage) { add(&out.Egress, s) })
	}
	if !sockets {
		return
	}
	for i := range sp.ns.Programs {
		if p := &sp.ns.Programs[i]; p.Ifindex == 0 {
			at := strings.ReplaceAll(p.Attach, "_", " ")
			add(&out.Sockets, RuleStage{At: at, Cgroup: p.Cgroup, Text: programText(p.Name, p.ID, p.Tag)})
		}
	}
}

func programsAt(ns *snapshot.Namespace, link int, attach string) (out []*snapshot.BPFProgram) {
	for i := range ns.Programs {
		if p := &ns.Programs[i]; p.Ifindex == link && p.Attach == attach {
			out = append(out, p)
		}
	}
	return out
}

// programText names a program: `bpf "cil_from_netdev" (program 42)`.
func programText(name string, id uint32, tag string) string {
	out := "bpf"
	if name != "" {
		out += fmt.Sprintf(" %q", name)
	}
	if id != 0 {
		out += fmt.Sprintf(" (program %d)", id)
	} else if tag != "" {
		out += " (tag " + tag + ")"
	}
	return out
}

// filtersAt gives each filter of a link's ingress, of its egress, or of a qdisc ("7:0").
func (sp *space) filtersAt(l *snapshot.Link, parent string, name func(int) string, give func(RuleStage)) {
	for i := range sp.ns.Filters {
		f := &sp.ns.Filters[i]
		if f.Ifindex != l.Index || f.Parent != parent || f.Class == "" && len(f.Actions) == 0 && f.ProgName == "" && f.ProgID == 0 {
			continue // of u32, what only holds others
		}
		at := "tc " + parent
		if parent != "ingress" && parent != "egress" {
			at = "filter of " + parent
		}
		s := RuleStage{At: at, Link: l.Name}
		w := []string{fmt.Sprintf("pref %d %s %s", f.Priority, f.Protocol, f.Kind)}
		if f.ProgName != "" || f.ProgID != 0 {
			w = append(w, programText(f.ProgName, f.ProgID, f.ProgTag))
		}
		if f.Direct {
			w = append(w, "direct-action")
		}
		if f.Class != "" {
			w = append(w, "class "+f.Class)
		}
		for j := range f.Actions {
			a := &f.Actions[j]
			text := a.Kind
			if a.ProgName != "" || a.ProgID != 0 {
				text += " " + programText(a.ProgName, a.ProgID, a.ProgTag)
			}
			if a.To != 0 {
				text += " to " + name(a.To)
			}
			if a.Result != "" {
				text += " (" + a.Result + ")"
			}
			w = append(w, text)
		}
		if len(f.Actions) > 0 {
			a := &f.Actions[0]
			s.Packets, s.Bytes = &a.Packets, &a.Bytes
			s.Drops = new(uint64)
			for j := range f.Actions {
				*s.Drops += f.Actions[j].Drops
			}
		}
		s.Text = strings.Join(w, ", ")
		give(s)
	}
}

// queuesOf gives the qdiscs of a link that somebody made, with their filters and classes.
func (sp *space) queuesOf(l *snapshot.Link, name func(int) string, give func(RuleStage)) {
	for i := range sp.ns.Qdiscs {
		q := &sp.ns.Qdiscs[i]
		if q.Ifindex != l.Index || q.Handle == "0:0" || q.Kind == "clsact" || q.Kind == "ingress" {
			continue
		}
		give(RuleStage{At: "qdisc", Link: l.Name, Text: fmt.Sprintf("%s %s parent %s", q.Kind, q.Handle, cmp.Or(q.Parent, "none")), Packets: &q.Packets, Bytes: &q.Bytes, Drops: &q.Drops})
		sp.filtersAt(l, q.Handle, name, give)
		for j := range sp.ns.Classes {
			c := &sp.ns.Classes[j]
			major, _, _ := strings.Cut(q.Handle, ":")
			if of, _, _ := strings.Cut(c.Class, ":"); c.Ifindex != l.Index || of != major {
				continue
			}
			text := fmt.Sprintf("%s %s parent %s", c.Kind, c.Class, cmp.Or(c.Parent, "none"))
			if c.Leaf != "" {
				text += " leaf " + c.Leaf
			}
			give(RuleStage{At: "class", Link: l.Name, Text: text, Packets: &c.Packets, Bytes: &c.Bytes, Drops: &c.Drops})
		}
	}
}

// passes tells which links of another namespace a packet of own's may pass: all but those that lead to somebody else.
func (g *Graph) passes(ns, own *Node) func(link int) bool {
	var other []int
	for _, l := range g.linksIn(ns) {
		p := g.Peer(l)
		if p == nil {
			continue
		}
		if in, ok := g.Netns(p); ok && in != own && in != ns {
			if raw := g.Link(l); raw != nil {
				other = append(other, raw.Index)
			}
		}
	}
	return func(link int) bool { return !slices.Contains(other, link) }
}

func (s *RuleSpace) empty() bool {
	return !s.Unread && len(s.Chains)+len(s.Ingress)+len(s.Egress)+len(s.Sockets) == 0
}
