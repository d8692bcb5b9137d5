package probe_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/probe"
)

func matrixText(r *probe.MatrixResult) string {
	var b bytes.Buffer
	r.Text(&b, 80)
	return b.String()
}

func TestMatrixText(t *testing.T) {
	m := &probe.MatrixResult{Kind: "matrix", By: "ping", OK: true, Members: []string{"web", "db", "a-very-long-name-of-a-container"},
		Addrs: []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"}, Cells: []probe.Cell{
			{From: 0, To: 1, Class: probe.OK, MS: 0.041, Addr: "10.0.0.3"}, {From: 0, To: 2, Class: probe.OK, MS: 12, Addr: "10.0.0.4"},
			{From: 1, To: 0, Class: probe.OK, MS: 0.2}, {From: 1, To: 2, Class: probe.OK, MS: 1200},
			{From: 2, To: 0, Class: probe.OK, MS: 3}, {From: 2, To: 1, Class: probe.OK, MS: 0.02},
		}}
	if got, want := matrixText(m), "ok: matrix of 3 by ping: all 6 pairs, 0.020/202.543/1200.000 ms (min/avg/max)\n"; got != want {
		t.Error(cmp.Diff(want, got))
	}
	m.OK = false
	m.Cells[2] = probe.Cell{From: 1, To: 0, Class: probe.Timeout}
	m.Cells[3] = probe.Cell{From: 1, To: 2, Class: probe.Timeout}
	m.Cells[4] = probe.Cell{From: 2, To: 0, Class: probe.Filtered, By: "10.0.0.1", Reason: "ICMP host prohibited", NotCertain: "why, \"so\""}
	if got, want := matrixText(m), `FAILED: matrix of 3 by ping: 3 of 6 pairs ok, 2 timeout, 1 filtered

                                    1    2    3
1 web                  10.0.0.2     -  0.0   12
2 db                   10.0.0.3     .    -    .
3 a-very-long-name-of… 10.0.0.4    X?  0.0    -

  rows ask columns: ms, X filtered, . timeout, ? not certain
  db reaches nobody: timeout
  a-very-long-name-of-a-container → web: filtered, ICMP host prohibited, says
      10.0.0.1 (not certain: why, "so")
`; got != want {
		t.Error(cmp.Diff(want, got))
	}
	var b strings.Builder
	if err := m.CSV(&b); err != nil {
		t.Fatal(err)
	}
	if want := `from,to,addr,class,ms,by,reason,not_certain
web,db,10.0.0.3,ok,0.041,,,
web,a-very-long-name-of-a-container,10.0.0.4,ok,12.000,,,
db,web,,timeout,,,,
db,a-very-long-name-of-a-container,,timeout,,,,
a-very-long-name-of-a-container,web,,filtered,,10.0.0.1,ICMP host prohibited,"why, ""so"""
a-very-long-name-of-a-container,db,,ok,0.020,,,
`; b.String() != want {
		t.Error(cmp.Diff(want, b.String()))
	}
	// Whatever is in it, it fits.
	big := &probe.MatrixResult{By: "ping"}
	for i := range 40 {
		big.Members = append(big.Members, strings.Repeat("ü", i))
		for j := range 40 {
			if i != j {
				big.Cells = append(big.Cells, probe.Cell{From: i, To: j, Class: []probe.Class{probe.OK, probe.Refused, "what"}[(i*j)%3], MS: probe.MS(i * j * 10)})
			}
		}
	}
	for l := range strings.Lines(matrixText(big)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, l)
		}
	}
	(&probe.MatrixResult{}).Text(&b, 0)
}
