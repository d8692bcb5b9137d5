package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// mostGaps is how many kinds of gaps are told without -v.
const mostGaps = 6

// gapKind is what makes gaps alike: the reader, what would help, and the error but for the numbers in it.
type gapKind struct{ reader, shape, needs string }

// gapTally is all gaps of a kind; the first stands for them.
type gapTally struct {
	first  topo.Gap
	spaces []string
	n      int
	// same is false where their texts differ.
	same bool
}

// tellGaps says what could not be read, one line for each kind, what hides most first.
func (a *app) tellGaps(gaps []topo.Gap) {
	all := tallyGaps(gaps)
	for i, t := range all {
		if i == mostGaps && !a.verbose {
			fmt.Fprintf(a.err, "nscope: gap: and %d more kinds (-v tells all)\n", len(all)-i)
			return
		}
		fmt.Fprintf(a.err, "nscope: gap: %s\n", oneLine(strings.ReplaceAll(t.text(a.verbose), "\n", "; ")))
	}
}

// gapsOf are those of a snapshot.
func gapsOf(s *snapshot.Snapshot) []topo.Gap {
	gaps := make([]topo.Gap, len(s.Gaps))
	for i := range s.Gaps {
		gaps[i] = topo.Gap{Host: s.Host.Name, Gap: s.Gaps[i]}
	}
	return gaps
}

func tallyGaps(gaps []topo.Gap) []*gapTally {
	var all []*gapTally
	byKind := map[gapKind]*gapTally{}
	for _, gap := range gaps {
		reader := gap.Reader
		if strings.HasPrefix(reader, "engine ") {
			reader = "engine"
		}
		k := gapKind{reader, shape(gap.Error), gap.Needs}
		t := byKind[k]
		if t == nil {
			t = &gapTally{first: gap, same: true}
			byKind[k] = t
			all = append(all, t)
		}
		t.n++
		t.same = t.same && gap.Error == t.first.Error && gap.Reader == t.first.Reader
		if id := gap.Namespace.Short(); gap.Namespace != "" && !slices.Contains(t.spaces, id) {
			t.spaces = append(t.spaces, id)
		}
	}
	slices.SortStableFunc(all, func(a, b *gapTally) int { return cmp.Compare(gapRank(&a.first), gapRank(&b.first)) })
	return all
}

// gapRank puts what hides whole namespaces before what hides an engine's names, and that before a part of a namespace.
func gapRank(g *topo.Gap) int {
	switch {
	case g.Reader == "processes":
		return 0
	case g.Reader == "namespace":
		return 1
	case g.Namespace != "":
		return 4
	case strings.HasPrefix(g.Reader, "engine"):
		return 3
	}
	return 2
}

// shape is an error without what differs from one namespace, process or link to the next: words that have a digit in them,
// and lists of examples.
func shape(s string) string {
	if i := strings.IndexByte(s, '('); i >= 0 {
		if j := strings.IndexByte(s[i:], ')'); j > 0 {
			s = s[:i] + s[i+j+1:]
		}
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '/' || r == '\n' })
	for i, w := range words {
		if strings.ContainsAny(w, "0123456789") {
			words[i] = "#"
		}
	}
	return strings.Join(words, " ")
}

func (t *gapTally) text(verbose bool) string {
	var b strings.Builder
	switch n := len(t.spaces); {
	case t.first.Reader == "namespace" && n == 1:
		fmt.Fprintf(&b, "netns %s", t.spaces[0])
	case t.first.Reader == "namespace" && verbose:
		fmt.Fprintf(&b, "netns %s", strings.Join(t.spaces, ", "))
	case t.first.Reader == "namespace":
		fmt.Fprintf(&b, "%d namespaces", n)
	case n == 1:
		fmt.Fprintf(&b, "%s of netns %s", t.first.Reader, t.spaces[0])
	case n > 1 && verbose:
		fmt.Fprintf(&b, "%s of netns %s", t.first.Reader, strings.Join(t.spaces, ", "))
	case n > 1:
		fmt.Fprintf(&b, "%s of %d namespaces", t.first.Reader, n)
	default:
		b.WriteString(t.first.Reader)
	}
	fmt.Fprintf(&b, ": %s", t.first.Error)
	if t.first.Needs != "" && !strings.Contains(t.first.Error, t.first.Needs) {
		fmt.Fprintf(&b, " (needs %s)", t.first.Needs)
	}
	switch {
	case t.n == 1 || len(t.spaces) == t.n && t.same:
	case t.same && len(t.spaces) < 2:
		fmt.Fprintf(&b, ", %d times", t.n)
	case !t.same:
		fmt.Fprintf(&b, ", and %d more like it", t.n-1)
	}
	return b.String()
}
