package topo

import (
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestNetworksOfOneID: engines whose ids are no random ones have networks of the same id. Each container is in its own engine's, also while the
// namespace of another engine is not known, as that of a lab which is about to come or to go.
func TestNetworksOfOneID(t *testing.T) {
	k := new(kernel)
	src := &source{k: k}
	view := func(kind string, home *space) netView {
		return netView{src: src, eng: &engine{e: &snapshot.Engine{Kind: kind}, home: home}, n: &snapshot.Network{ID: "lan", Driver: "macvlan", Scope: "local"}}
	}
	for _, kind := range []string{"nscope", "podman"} {
		b := &builder{netIdx: map[netKey]*netw{}}
		views := []netView{view(kind, new(space)), view(kind, nil), view(kind, new(space))}
		for _, v := range views {
			b.addView(v)
		}
		for i, v := range views {
			if n := b.findNet(k, v.eng, kind, "lan"); n == nil || len(n.views) != 1 || n.views[0].eng != v.eng {
				t.Errorf("%s: engine %d has the network %+v", kind, i, n)
			}
		}
		if n := b.findNet(k, &engine{home: new(space)}, kind, "lan"); n != nil {
			t.Errorf("%s: an engine without networks has one of another", kind)
		}
	}
}
