package spell

import (
	"errors"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestNotIPTables: what iptables cannot say is said to be so, never left out.
func TestNotIPTables(t *testing.T) {
	port := snapshot.NfMatch{Left: snapshot.NfOperand{Kind: "payload", Key: "tcp dport"}, Op: snapshot.NfEq,
		Values: []snapshot.NfValue{{Num: &snapshot.NfNum{From: 80, To: 80}}}}
	accept := snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: "accept"}}
	in := func(m snapshot.NfMatch) snapshot.NfExpr { return snapshot.NfExpr{Matches: []snapshot.NfMatch{m}} }
	set, two := port, port
	set.Values, set.Set = nil, "ports"
	two.Values = append(two.Values, two.Values[0])
	for name, x := range map[string]struct {
		family string
		exprs  []snapshot.NfExpr
	}{
		"another family":   {"inet", []snapshot.NfExpr{in(port), accept}},
		"a set":            {"ip", []snapshot.NfExpr{in(set), accept}},
		"two values":       {"ip", []snapshot.NfExpr{in(two), accept}},
		"a map":            {"ip", []snapshot.NfExpr{{Map: &snapshot.NfVerdictMap{Map: "m"}}}},
		"something after":  {"ip", []snapshot.NfExpr{accept, in(port)}},
		"another field":    {"ip", []snapshot.NfExpr{in(snapshot.NfMatch{Left: snapshot.NfOperand{Kind: "meta", Key: "hour"}, Op: snapshot.NfEq}), accept}},
		"unknown":          {"ip", []snapshot.NfExpr{{Unknown: &snapshot.NfUnknown{Kind: "match", Name: "l2tp"}}, accept}},
		"a mark of nft":    {"ip", []snapshot.NfExpr{{Assign: &snapshot.NfAssign{To: snapshot.NfOperand{Kind: "meta", Key: "mark"}}}}},
		"a nameless ipset": {"ip", []snapshot.NfExpr{{XT: &snapshot.NfXT{Name: "set", Rev: 4}, Matches: []snapshot.NfMatch{{Left: snapshot.NfOperand{Kind: "xt", Key: "ipset", Opts: map[string]string{"index": "3"}}, Op: snapshot.NfEq}}}}},
	} {
		if s, err := IPTables(x.family, "INPUT", &snapshot.NfRule{Exprs: x.exprs}); !errors.Is(err, ErrNotIPTables) {
			t.Errorf("%s: %q, %v", name, s, err)
		}
	}
	s, err := IPTables("ip", "INPUT", &snapshot.NfRule{Exprs: []snapshot.NfExpr{in(port), accept}, Comment: "a b"})
	if want := `-A INPUT -p tcp -m tcp --dport 80 -m comment --comment "a b" -j ACCEPT`; err != nil || s != want {
		t.Errorf("%q, %v", s, err)
	}
}
