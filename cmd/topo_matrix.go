package cmd

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// netMatrix prints which network may talk to which.
func (a *app) netMatrix(ctx context.Context, target, port string) error {
	o, err := matrixOptions(port)
	if err != nil {
		return err
	}
	if target != "" {
		return usagef("--matrix is of all networks: it takes no TARGET")
	}
	g, err := a.graph(ctx, "")
	if err != nil {
		return err
	}
	all, left := g.Matrix(o)
	for _, l := range left {
		fmt.Fprintf(a.err, "nscope: note: in no matrix: %s: %s\n", oneLine(l.Name), oneLine(l.Why))
	}
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

// matrixOptions reads --port.
func matrixOptions(s string) (topo.MatrixOptions, error) {
	if s == "" || s == "icmp" {
		return topo.MatrixOptions{Proto: s}, nil
	}
	port, proto, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if proto = cmp.Or(proto, "tcp"); err != nil || n == 0 || proto != "tcp" && proto != "udp" && proto != "sctp" {
		return topo.MatrixOptions{}, usagef("--port: %q is no port: 80, 53/udp, 3868/sctp, or icmp", s)
	}
	return topo.MatrixOptions{Proto: proto, Port: uint16(n)}, nil
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
		name := m.Name
		if m.Family == "ip6" {
			name += " (IPv6)"
		}
		t.Groups = append(t.Groups, name)
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
