package topo

import (
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

func sentences(t *testing.T, g *Graph, what string) (out []string) {
	t.Helper()
	hits, err := g.Find(what)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		out = append(out, h.Sentence)
	}
	return out
}

// A namespace that nothing names is told of by what holds it.
func TestLoneNetns(t *testing.T) {
	zero := 0
	fd := func(n int) snapshot.Holder {
		return snapshot.Holder{Kind: snapshot.HolderFD, PID: 12, FD: n, Comm: "foo"}
	}
	proc := func(pid int) snapshot.Holder {
		return snapshot.Holder{Kind: snapshot.HolderProc, PID: pid, Comm: "sh"}
	}
	for want, holders := range map[string][]snapshot.Holder{
		"netns 2 is held by 1 fd of process 12 (foo), with 1 link; no container is known in it":                     {fd(5)},
		"netns 2 is held by process 7 (sh) and 2 fds of process 12 (foo), with 1 link; no container is known in it": {proc(7), fd(5), fd(6)},
		"netns 2 is held by 4 procs, 1 fd, with 1 link; no container is known in it":                                {proc(7), proc(8), proc(9), proc(10), fd(5)},
		"netns 2 is held by nothing that was found, with 1 link; no container is known in it":                       nil,
	} {
		g := Build(&snapshot.Snapshot{Host: snapshot.Host{BootID: bootA, Name: "h", InitNS: "4:1"}, Namespaces: []snapshot.Namespace{
			{ID: "4:1"}, {ID: "4:2", Holders: holders, Links: []snapshot.Link{{Index: 1, Name: "lo", Type: "loopback"}}},
		}})
		if got := sentences(t, g, "netns:2"); len(got) != 1 || got[0] != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	hidden := snapshot.MakeViaNSID("4:1", 0)
	g := Build(&snapshot.Snapshot{Host: snapshot.Host{BootID: bootA, Name: "h", InitNS: "4:1"}, Namespaces: []snapshot.Namespace{
		{ID: "4:1"}, {ID: hidden, Holders: []snapshot.Holder{{Kind: snapshot.HolderLink, Via: "4:1", NSID: &zero}}, Links: []snapshot.Link{{Index: 2, Name: "x"}}},
	}})
	if got, want := sentences(t, g, hidden.Short()), "netns via-1-0 is held by a link of netns 1 (nsid 0), with 1 link"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A task goes by one name in every sentence.
func TestTaskNames(t *testing.T) {
	s, err := snapshot.Load("../docs/examples/node1.json.zst")
	if err != nil {
		t.Fatal(err)
	}
	g := Build(s)
	for what, want := range map[string]string{
		"8001":  "port 8001/tcp of the host netns is published by container edge.kjkdyruhv61oqo98lcszzq2pm for its port 80, in host mode",
		"web.3": "web.3 is a docker container in network mode overlay, with 10.0.0.6, 10.0.1.12, 172.18.0.4, in netns 4026536064: eth1 → veth1@br0 (1-untv4arzm6) vxlan 4096; eth2 → vetha647a21@docker_gwbridge; eth0 → veth4@br0 (1-o9qzj6738y) vxlan 4097",
	} {
		if got := sentences(t, g, what); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q\nwant %q", what, got, want)
		}
	}
}
