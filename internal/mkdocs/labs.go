package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// faultTable is what labs can be broken with, as `nscope lab faults` has it.
func faultTable(root string) (string, error) {
	out, errText, err := nscope(root, []string{"lab", "faults", "-o", "json"})
	if err != nil {
		return "", err
	}
	var faults []struct {
		ID, Symptom, Cause, Fix string
		Labs                    []struct{ Modes []string }
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil {
		return "", fmt.Errorf("%w: %s", err, errText)
	}
	var b strings.Builder
	b.WriteString("| fault | in | symptom | cause | what helps |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", "\\|", "<", "\\<", "*", "\\*")
	for _, f := range faults {
		var modes []string
		for _, l := range f.Labs {
			modes = append(modes, l.Modes...)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.ID, strings.Join(modes, ", "), cell.Replace(f.Symptom), cell.Replace(f.Cause), cell.Replace(f.Fix))
	}
	return b.String(), nil
}
