package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// filters writes those of traffic control with what they do to packets: all of a namespace's, or those of one link.
func (s *shower) filters(ns *snapshot.Namespace, only int, name func(int) string) {
	var rows [][]string
	for i := range ns.Filters {
		f := &ns.Filters[i]
		prog := words(f.ProgName, when(f.ProgID != 0, fmt.Sprintf("(program %d)", f.ProgID)))
		if only != 0 && f.Ifindex != only || len(f.Actions) == 0 && prog == "" && f.Class == "" && !s.page.o.Wide {
			continue
		}
		var acts []string
		var drops uint64
		for _, a := range f.Actions {
			acts = append(acts, words(a.Kind, a.ProgName, when(a.To != 0, "to "+name(a.To)), a.Result))
			drops += a.Drops
		}
		if f.Class != "" {
			acts = append(acts, "class "+f.Class)
		}
		hits := ""
		if len(f.Actions) > 0 {
			hits = strconv.FormatUint(f.Actions[0].Packets, 10)
		}
		rows = append(rows, []string{name(f.Ifindex), f.Parent, strconv.Itoa(int(f.Priority)), f.Protocol, f.Kind, prog, strings.Join(acts, ", "), hits, when(drops != 0, strconv.FormatUint(drops, 10))})
	}
	s.table("FILTERS", cols("DEV", "AT", ">PREF", "PROTOCOL", "KIND", "PROGRAM", "!DOES", ">HITS", ">DROPPED"), rows)
}

// classes writes those that packets went through, or all of one link's.
func (s *shower) classes(ns *snapshot.Namespace, only int, name func(int) string) {
	var rows [][]string
	for i := range ns.Classes {
		c := &ns.Classes[i]
		if only != 0 && c.Ifindex != only || only == 0 && c.Packets|c.Drops|c.Overlimits == 0 && !s.page.o.Wide {
			continue
		}
		u := func(n uint64) string { return strconv.FormatUint(n, 10) }
		rows = append(rows, []string{name(c.Ifindex), c.Kind, c.Class, c.Parent, c.Leaf, u(c.Packets), u(c.Drops), u(c.Overlimits), u(c.QLen)})
	}
	s.table("CLASSES", cols("DEV", "KIND", "CLASS", "PARENT", "LEAF", ">SENT", ">DROPPED", ">OVER", ">WAITING"), rows)
}

// programs writes the BPF programs of links, cgroups and the namespace; those of filters stand with them.
func (s *shower) programs(ns *snapshot.Namespace, only int, name func(int) string) {
	var rows [][]string
	for i := range ns.Programs {
		p := &ns.Programs[i]
		if only != 0 && p.Ifindex != only {
			continue
		}
		rows = append(rows, []string{p.Name, strconv.FormatUint(uint64(p.ID), 10), words(strings.ReplaceAll(p.Attach, "_", " "), p.Mode), words(when(p.Ifindex != 0, name(p.Ifindex)), p.Cgroup), p.Tag})
	}
	s.table("BPF PROGRAMS", cols("NAME", ">ID", "AT", "!OF", "TAG"), rows)
}
