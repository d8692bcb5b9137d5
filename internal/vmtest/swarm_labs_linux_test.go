package vmtest

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/nscope/nscope/fixtures"
)

// labsOnEngine are the modes of lab that an engine makes where its kernel has more than others, and how many checks each has there.
// What is not made needs more than Debian's engine, which is 20.10.
var labsOnEngine = []struct {
	mode   string
	checks int
	needs  string
}{
	{"vip", 11, ""},
	{"ingress", 9, ""},
	{"overlay-encrypted", 22, ""},
	{"macvlan-trunk", 11, ""},
	{"ipvlan-l2", 15, ""},
	{"ipvlan-l3", 14, ""},
	{"ipvlan-l3s", 0, "an engine with ipvlan_mode=l3s (Docker 23 has it)"},
}

// long is the environment variable that has tests run which take many minutes where a processor is emulated; make test-vm sets it.
const long = "NSCOPE_LONG"

func takesLong() bool { return os.Getenv(long) == "1" }

const engineURL = "unix:///run/docker.sock"

// labs: the engine makes them, their checks pass, and nothing stays. One after the other: one processor is emulated. Beside other
// tests that is too slow at times for the engine's own limits (it attaches to a network of a swarm within 20 s, or not at all): what
// fails is asked a second time.
func (s *served) labs(t *testing.T) {
	if !takesLong() {
		t.Skip("skip: takes eight minutes, make test-vm runs it")
	}
	n := s.Nodes[0]
	for _, want := range labsOnEngine {
		t.Run(want.mode, func(t *testing.T) {
			r := s.lab(t, want.mode)
			if r[0].Status == fixtures.Fail {
				t.Logf("the first time: %+v", r[0])
				_, _ = n.Run(t.Context(), os.Getenv("NSCOPE_BINARY"), "lab", "down", "--all", "--engine", engineURL) // it may not have gone in time
				r = s.lab(t, want.mode)
			}
			t.Logf("%s, %d checks, %d ms", r[0].Status, len(r[0].Checks), r[0].TookMS)
			for _, c := range r[0].Checks {
				if c.Status != fixtures.Pass {
					t.Errorf("%s: %s", c.Name, c.Detail)
				}
			}
			switch {
			case r[0].Status == fixtures.Skip && slices.Equal(r[0].Needs, []string{want.needs}):
				t.Skip("skip: needs " + want.needs)
			case r[0].Status != fixtures.Pass || want.needs == "" && len(r[0].Checks) != want.checks:
				t.Errorf("%s, needs %v, %d checks, not %d: %s", r[0].Status, r[0].Needs, len(r[0].Checks), want.checks, r[0].Error)
			}
		})
	}
	if left := n.Docker(t, "ps", "-aq", "--filter", "label=nscope.lab") + n.Docker(t, "network", "ls", "-q", "--filter", "label=nscope.lab"); left != "" {
		t.Errorf("left behind: %q", left)
	}
}

// lab has the engine make and prove one mode. What fails tells so in its report.
func (s *served) lab(t *testing.T, mode string) (r []fixtures.Report) {
	t.Helper()
	out, exit := s.Nodes[0].Run(t.Context(), os.Getenv("NSCOPE_BINARY"), "lab", "test", mode, "-o", "json", "--engine", engineURL)
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r) != 1 {
		t.Fatalf("%v, %v", exit, err)
	}
	return r
}
