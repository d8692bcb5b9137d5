package probe

import (
	"context"
	"strings"
	"testing"
)

// TestAllNothingTried: where nothing was allowed, nothing is well.
func TestAllNothingTried(t *testing.T) {
	judge := func(steps ...*Result) *Result {
		a := &all{from: &From{Name: "web"}, way: &way{}, r: &Result{Kind: "all", Steps: append([]*Result{{Kind: "way", OK: true, Class: OK}}, steps...)}}
		return a.judge(context.Background())
	}
	denied := &Result{Kind: "ping", Class: Denied, Summary: "needs CAP_NET_RAW", NotCertain: "not tried"}
	open := &Result{Kind: "tcp", OK: true, Class: OK, To: Dest{Port: 80}}
	if r := judge(open); !r.OK || r.NotCertain != "" {
		t.Errorf("healthy: %+v", r)
	}
	if r := judge(denied, open); !r.OK || !strings.Contains(r.NotCertain, "ping was not tried: needs CAP_NET_RAW") {
		t.Errorf("without ping: %+v", r)
	}
	if r := judge(denied); r.OK || r.Class != Denied {
		t.Errorf("nothing tried: %+v", r)
	}
}
