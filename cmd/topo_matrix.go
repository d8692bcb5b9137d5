package cmd

import (
	"context"
	"fmt"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// netMatrix prints which network may talk to which.
func (a *app) netMatrix(ctx context.Context, target string) error {
	if target != "" {
		return usagef("--matrix is of all networks: it takes no TARGET")
	}
	g, err := a.graph(ctx, "")
	if err != nil {
		return err
	}
	all := g.Matrix()
	if ok, err := a.print(all); ok {
		return err
	}
	if a.output != "tree" && a.output != "table" && a.output != "wide" {
		return usagef("--matrix has the formats table, json, yaml")
	}
	for i := range all {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := a.writeMatrix(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) writeMatrix(m *topo.Matrix) error {
	may := map[[2]string]string{}
	for _, c := range m.Cells {
		may[[2]string{c.From, c.To}] = c.May
	}
	t := render.Table{Columns: []render.Column{{Name: "FROM \\ TO"}}}
	for _, to := range m.To {
		t.Columns = append(t.Columns, render.Column{Name: to})
	}
	for _, from := range m.From {
		row := []string{from}
		for _, to := range m.To {
			row = append(row, dash(may[[2]string{from, to}]))
		}
		t.Rows = append(t.Rows, row)
		t.Groups = append(t.Groups, m.Name)
	}
	if err := a.table(t, a.output == "wide"); err != nil || !a.verbose {
		return err
	}
	why := render.Table{Columns: []render.Column{{Name: "FROM"}, {Name: "TO"}, {Name: "MAY"}, {Name: "PACKET"}, {Name: "BECAUSE", Below: true}}}
	for _, c := range m.Cells {
		because := c.Rule
		if c.Why != "" {
			because = c.Why
			if c.Rule != "" {
				because += ": " + c.Rule
			}
		}
		why.Rows = append(why.Rows, []string{c.From, c.To, c.May, fmt.Sprintf("%s → %s", c.Src, c.Dst), dash(because)})
	}
	return a.table(why, a.output == "wide")
}
