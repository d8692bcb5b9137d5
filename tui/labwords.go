package tui

import (
	"fmt"
	"strings"

	"github.com/nscope/nscope/fixtures"
)

// labMade says what a lab consists of.
func labMade(s *fixtures.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab %s (%s) is up\n", s.Name, s.Mode)
	for _, x := range s.Spaces {
		fmt.Fprintf(&b, "  %-10s %-24s %s\n", x.Name, x.Full, x.Role)
	}
	return b.String()
}

// labTested says what came of the test of a mode.
func labTested(r fixtures.Report) (string, bool) {
	switch {
	case r.Status == fixtures.Skip && len(r.Needs) > 0:
		return "mode " + r.Mode + " cannot be made here: it needs " + strings.Join(r.Needs, ", "), true
	case r.Error != "":
		text, _ := labChecks("mode "+r.Mode, r.Checks)
		return "mode " + r.Mode + " failed: " + r.Error + "\n" + text, true
	}
	return labChecks("mode "+r.Mode, r.Checks)
}

// labChecks says what came of checks, those that failed first.
func labChecks(what string, checks []fixtures.CheckResult) (string, bool) {
	passed := 0
	var b, good strings.Builder
	for _, c := range checks {
		if c.Status == fixtures.Pass {
			passed++
			fmt.Fprintf(&good, "  pass %s\n       %s\n", c.Name, c.Detail)
			continue
		}
		fmt.Fprintf(&b, "  FAIL %s\n       %s\n", c.Name, c.Detail)
	}
	head := fmt.Sprintf("%s: %d of %d checks pass\n", what, passed, len(checks))
	return head + b.String() + good.String(), passed < len(checks)
}

// labFault says what was done of a fault, and what came of it.
func labFault(r *fixtures.FaultReport, headline string, after ...string) (string, bool) {
	if r.Status != fixtures.Pass {
		return fmt.Sprintf("lab %s, fault %s: not as it must be\n  %s\n", r.Lab, r.Fault, strings.Join(r.Wrong, "\n  ")), true
	}
	var b strings.Builder
	b.WriteString(headline + "\n")
	for _, s := range after {
		b.WriteString("  " + s + "\n")
	}
	for _, s := range r.Steps {
		b.WriteString("  # " + s + "\n")
	}
	for _, c := range r.Failed {
		fmt.Fprintf(&b, "  fail %s\n       %s\n", c.Name, c.Detail)
	}
	fmt.Fprintf(&b, "  %s\n", plural(len(r.Passed), "check passes", "checks pass"))
	return b.String(), false
}
