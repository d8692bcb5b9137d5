package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// The snapshots that docs/labs.md draws were taken in a virtual machine whose kernel has everything (vmtest's
// TestRecordPictures): there too topo shows of every mode what its plan says. When a mode changes they are to be taken anew.
func TestLabPictures(t *testing.T) {
	for _, m := range fixtures.Modes() {
		t.Run(m.Info().Name, func(t *testing.T) {
			s, err := snapshot.Load("../../docs/examples/lab-" + m.Info().Name + ".json.zst")
			if err != nil {
				t.Fatal(err)
			}
			g, p := topo.Build(s), fixtures.NewPlan(m, "lab")
			if diff := cmp.Diff(planned(t, p), shown(t, p, g)); diff != "" {
				t.Errorf("links of the plan (-) and of topo (+):\n%s", diff)
			}
			if diff := cmp.Diff(called(p, m.Info().Name), calledBy(p, g)); diff != "" {
				t.Errorf("roles, modes, services of the plan (-) and of topo (+):\n%s", diff)
			}
		})
	}
}
