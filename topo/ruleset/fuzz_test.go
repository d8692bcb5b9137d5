package ruleset_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// FuzzSpace takes any namespace, as a file may have it, and sends packets through its rules: each has an end.
func FuzzSpace(f *testing.F) {
	seeds := 0
	for _, name := range []string{"rules-publish", "rules-ingress", "rules-vip"} {
		in, err := os.Open(filepath.Join("..", "..", "docs", "examples", name+".json.zst"))
		if err != nil {
			f.Fatal(err)
		}
		s, err := snapshot.Read(in)
		in.Close()
		if err != nil {
			f.Fatal(err)
		}
		for i := range s.Namespaces {
			n := &s.Namespaces[i]
			if len(n.Netfilter.Tables) == 0 {
				continue
			}
			// What rules ask nothing of would only be more to mutate.
			b, err := json.Marshal(snapshot.Namespace{ID: n.ID, Links: n.Links, Routes: n.Routes, Rules: n.Rules, Netfilter: n.Netfilter})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, uint8(6), uint16(8080))
			seeds++
		}
	}
	if seeds < 10 {
		f.Fatalf("%d namespaces have rules", seeds)
	}
	f.Fuzz(func(t *testing.T, b []byte, proto uint8, port uint16) {
		var ns snapshot.Namespace
		if json.Unmarshal(b, &ns) != nil {
			t.Skip()
		}
		s := ruleset.NewSpace(&ns)
		links := []string{""}
		for i := range ns.Links[:min(len(ns.Links), 4)] {
			links = append(links, ns.Links[i].Name)
		}
		addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fd00::1")}
		for i := range ns.Links {
			for _, a := range ns.Links[i].Addrs {
				if len(addrs) < 6 {
					addrs = append(addrs, a.Prefix.Addr())
				}
			}
		}
		ended := func(what string, fate ruleset.Fate) {
			if fate.End == "" {
				t.Fatalf("%s: %+v", what, fate)
			}
		}
		for _, src := range addrs[:2] {
			for _, dst := range addrs {
				if src.Is4() != dst.Is4() {
					continue
				}
				p := ruleset.First(proto, netip.AddrPortFrom(src, 40000), netip.AddrPortFrom(dst, port))
				for _, in := range links {
					ended("walk", s.Walk(p, in))
					if in != "" {
						ended("ingress", s.Pass(p, in, "ingress"))
						ended("bridge", s.WalkBridge(p, in))
					}
				}
			}
		}
	})
}
