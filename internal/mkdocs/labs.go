package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// faultTable is what labs can be broken with, as `nscope lab faults` has it.
func faultTable(root string) (string, error) {
	out, errText, err := nscope(root, []string{"lab", "faults", "-o", "json"})
	if err != nil {
		return "", err
	}
	var faults []struct {
		ID, Symptom, Cause, Fix, By, Why string
		Needs                            []string
		Labs                             []struct{ Modes, Needs []string }
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil {
		return "", fmt.Errorf("%w: %s", err, errText)
	}
	var b strings.Builder
	b.WriteString("| fault | in | symptom | cause | what helps |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", "\\|", "<", "\\<", "*", "\\*")
	for _, f := range faults {
		var in []string
		for _, l := range f.Labs {
			text := strings.Join(l.Modes, ", ")
			if needs := slices.Concat(f.Needs, l.Needs); len(needs) > 0 {
				text += " (needs " + strings.Join(needs, ", ") + ")"
			}
			in = append(in, text)
		}
		if f.By != "lab" {
			in = []string{map[string]string{"machine": "a whole machine: ", "engine": "a real engine: ", "no": "no lab: "}[f.By] + f.Why}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.ID, cell.Replace(strings.Join(in, ", ")), cell.Replace(f.Symptom), cell.Replace(f.Cause), cell.Replace(f.Fix))
	}
	return b.String(), nil
}
