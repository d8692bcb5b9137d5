package inspect

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

func TestBalancersWithoutIPVS(t *testing.T) {
	mount := func(id snapshot.NSID, path string) snapshot.Namespace {
		return snapshot.Namespace{ID: id, Holders: []snapshot.Holder{{Kind: snapshot.HolderMount, Path: path}}}
	}
	vip := snapshot.Service{Name: "web", VIPs: []snapshot.VIP{{Addr: netip.MustParsePrefix("10.0.0.2/24")}}}
	tests := []struct {
		name string
		snap snapshot.Snapshot
		want []snapshot.NSID
	}{
		{"nobody expects it", snapshot.Snapshot{Namespaces: []snapshot.Namespace{mount("4:1", "/run/netns/web"), mount("4:2", "/run/docker/netns/default")}}, nil},
		{"sandboxes", snapshot.Snapshot{
			Namespaces: []snapshot.Namespace{mount("4:1", "/run/docker/netns/lb_abcdefghi"), mount("4:2", "/run/docker/netns/ingress_sbox"), mount("4:3", "/run/netns/web")},
			Services:   []snapshot.Service{vip},
		}, []snapshot.NSID{"4:1", "4:2"}},
		{"a service alone", snapshot.Snapshot{Services: []snapshot.Service{vip}}, []snapshot.NSID{""}},
		{"one without address", snapshot.Snapshot{Services: []snapshot.Service{{Name: "web", EndpointMode: "dnsrr"}}}, nil},
	}
	for _, tt := range tests {
		got := balancersWithoutIPVS(&tt.snap)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, got)
			continue
		}
		for i, g := range got {
			if g.Namespace != tt.want[i] || g.Reader != "ipvs" || !strings.Contains(g.Error, "cannot work") || g.Needs == "" {
				t.Errorf("%s: %+v", tt.name, g)
			}
		}
	}
}
