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
		if only != 0 && f.Ifindex != only || len(f.Actions) == 0 && prog == "" && !s.page.o.Wide {
			continue
		}
		var acts []string
		var drops uint64
		for _, a := range f.Actions {
			acts = append(acts, words(a.Kind, when(a.To != 0, "to "+name(a.To)), a.Result))
			drops += a.Drops
		}
		hits := ""
		if len(f.Actions) > 0 {
			hits = strconv.FormatUint(f.Actions[0].Packets, 10)
		}
		rows = append(rows, []string{name(f.Ifindex), f.Parent, strconv.Itoa(int(f.Priority)), f.Protocol, f.Kind, prog, strings.Join(acts, ", "), hits, when(drops != 0, strconv.FormatUint(drops, 10))})
	}
	s.table("FILTERS", cols("DEV", "AT", ">PREF", "PROTOCOL", "KIND", "PROGRAM", "!DOES", ">HITS", ">DROPPED"), rows)
}
