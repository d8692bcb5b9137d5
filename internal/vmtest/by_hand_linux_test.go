package vmtest

import (
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestByHand: what --dry-run prints of the modes that no other kernel makes comes to the same as the lab.
func TestByHand(t *testing.T) {
	nettest.NeedsRoot(t)
	if !takesLong() {
		t.Skip("skip: takes six minutes, make test-vm runs it")
	}
	byHand := buildTests(t, "fixtures")
	m := vm.New(t, vm.Config{Modules: append(labModules, modules...), Life: 20 * time.Minute})
	onlyThere(t, m, byHand, "TestByHand")
}
