package ruleset_test

import (
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// What follows writes models by hand, as the readers make them.

func pfx(s string) snapshot.NfValue {
	if p, err := netip.ParsePrefix(s); err == nil {
		return snapshot.NfValue{Prefix: p}
	}
	a := netip.MustParseAddr(s)
	return snapshot.NfValue{Prefix: netip.PrefixFrom(a, a.BitLen())}
}

func numbers(from, to uint64) snapshot.NfValue {
	return snapshot.NfValue{Num: &snapshot.NfNum{From: from, To: to}}
}
func is(n uint64) snapshot.NfValue   { return numbers(n, n) }
func word(s string) snapshot.NfValue { return snapshot.NfValue{Text: s} }

func when(kind, key, op string, v ...snapshot.NfValue) snapshot.NfExpr {
	return snapshot.NfExpr{Matches: []snapshot.NfMatch{{Left: snapshot.NfOperand{Kind: kind, Key: key}, Op: op, Values: v}}}
}

func verdict(kind string, chain ...string) snapshot.NfExpr {
	v := &snapshot.NfVerdict{Kind: kind}
	if len(chain) > 0 {
		v.Chain = chain[0]
	}
	return snapshot.NfExpr{Verdict: v}
}

func mark(n uint64) snapshot.NfExpr {
	v := is(n)
	return snapshot.NfExpr{Assign: &snapshot.NfAssign{To: snapshot.NfOperand{Kind: "meta", Key: "mark"}, Value: &v}}
}

func rule(e ...snapshot.NfExpr) snapshot.NfRule { return snapshot.NfRule{Exprs: e} }

func base(name, typ, hook string, prio int32, policy string, rules ...snapshot.NfRule) snapshot.NfChain {
	return snapshot.NfChain{Name: name, Type: typ, Hook: hook, Priority: prio, Policy: policy, Rules: rules}
}

func user(name string, rules ...snapshot.NfRule) snapshot.NfChain {
	return snapshot.NfChain{Name: name, Rules: rules}
}

func tab(backend, family, name string, chains ...snapshot.NfChain) snapshot.NfTable {
	return snapshot.NfTable{Backend: backend, Family: family, Name: name, Chains: chains}
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func syn(src, dst string) ruleset.Packet { return ruleset.First(ruleset.TCP, ap(src), ap(dst)) }

var (
	ipForward = ruleset.At{Family: "ip", Hook: "forward"}
	ipPre     = ruleset.At{Family: "ip", Hook: "prerouting"}
)

func eval(t *testing.T, at ruleset.At, p ruleset.Packet, tables ...snapshot.NfTable) ruleset.Result {
	t.Helper()
	return ruleset.New(&snapshot.Netfilter{Tables: tables}).Eval(at, p, ruleset.Blank{})
}

func want(t *testing.T, r ruleset.Result, v ruleset.Verdict) {
	t.Helper()
	if r.Verdict != v {
		t.Errorf("verdict %s by %v (%s), want %s; steps %+v", r.Verdict, r.By, r.Why, v, r.Steps)
	}
}
