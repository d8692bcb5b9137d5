package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/faults"
)

// Every fault of the catalogue, in every mode that can carry it: a healthy lab shows the symptom and nothing else, and is
// healthy again after the repair.
func TestLabFaults(t *testing.T) {
	m := newMachine(t)
	before := m.traces(t)
	t.Run("all", func(t *testing.T) {
		for _, mode := range fixtures.Modes() {
			var carried []string
			for _, f := range faults.All() {
				if _, ok := f.For(mode.Info().Name); ok {
					carried = append(carried, f.ID)
				}
			}
			// Faults of one mode follow each other in two labs: what one leaves behind the next one finds.
			for half, ids := range [][]string{carried[:len(carried)/2], carried[len(carried)/2:]} {
				if len(ids) == 0 {
					continue
				}
				name := "f" + strings.Repeat("x", half) + "-" + mode.Info().Name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					m.up(t, mode.Info().Name, name)
					for _, id := range ids {
						if !m.faultOn(t, name, id) {
							m.labOK(t, "down", name)
							m.up(t, mode.Info().Name, name)
						}
					}
					m.labOK(t, "down", name)
				})
			}
		}
	})
	m.noTraces(t, before)
}

// faultOn breaks and repairs a lab; false where that failed.
func (m *machine) faultOn(t *testing.T, name, id string) bool {
	t.Helper()
	out, errText, code := m.lab(t, "break", name, id, "-o", "json")
	if code == 1 && strings.Contains(errText, "this kernel has no ") {
		t.Logf("skip: %s: %s", id, errText)
		return false
	}
	if code != 0 {
		t.Errorf("break %s %s: exit code %d\n%s\n%s", name, id, code, strings.Join(wrongOf(out), "\n"), errText)
		return false
	}
	r := jsonOf[fixtures.FaultReport](t, out)
	if r.Status != fixtures.Pass || len(r.Failed) == 0 || len(r.Wrong) > 0 || len(r.Steps) == 0 || r.Fault != id {
		t.Errorf("break %s %s: %+v", name, id, r)
	}
	if list := jsonOf[[]fixtures.State](t, m.labOK(t, "list", "-o", "json")); !slices.ContainsFunc(list, func(s fixtures.State) bool { return s.Name == name && slices.Equal(s.Faults, []string{id}) }) {
		t.Errorf("the list does not tell of %s: %+v", id, list)
	}
	out, errText, code = m.lab(t, "repair", name, "-o", "json")
	if code != 0 {
		t.Errorf("repair %s of %s: exit code %d\n%s\n%s", name, id, code, strings.Join(wrongOf(out), "\n"), errText)
		return false
	}
	return true
}

// wrongOf is what a report complains of.
func wrongOf(out string) []string {
	_, list, _ := strings.Cut(out, `"wrong"`)
	return strings.Split(list, "\n")
}
