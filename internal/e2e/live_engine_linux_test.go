package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/tui"
)

// followed looks at a node from outside, as the interactive view does, while containers come, change and go there: each change is
// among the events within seconds. The containers' namespaces have their numbers in the node's, so its sockets hear of them, and
// no socket of ours is in them.
func followed(t *testing.T, n *peer.Node) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates := tui.Live(func(progress func(done, total int)) *inspect.Live {
		return inspect.NewLive(inspect.WithTimeout(10*time.Second), inspect.WithProgress(progress))
	}).Start(ctx)
	var st *tui.State
	var told []string
	await := func(what string, ok func() bool) {
		t.Helper()
		for late := time.After(30 * time.Second); !ok(); {
			select {
			case u, open := <-updates:
				if !open || u.Err != nil {
					t.Fatalf("it ended: %v", u.Err)
				}
				if u.State != nil {
					st = u.State
				}
				for _, e := range u.Events {
					told = append(told, e.Kind+": "+e.Text)
				}
			case <-late:
				t.Fatalf("not told within 30 s: %s; told was:\n%s", what, strings.Join(told, "\n"))
			}
		}
	}
	// event waits for one that has all words.
	event := func(words ...string) {
		t.Helper()
		await(strings.Join(words, " … "), func() bool {
			return slices.ContainsFunc(told, func(line string) bool {
				return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
			})
		})
	}
	do := func(args ...string) {
		t.Helper()
		n.Docker(t, args...)
	}
	running := func(name string) bool {
		for i := range st.Graph.Nodes {
			if c := &st.Graph.Nodes[i]; c.Kind == "container" && c.Name == name {
				return c.Attrs.State == "running"
			}
		}
		return false
	}
	await("the node's containers", func() bool { return st != nil && running("u1") })
	told = nil

	do("run", "-d", "--name", "fresh", "--network", "appnet", peer.Image, "httpd", "-f", "-h", "/www", "-p", "80")
	event("container: ", "container fresh added")
	await("that it runs", func() bool { return running("fresh") })
	ns, err := netns.OpenPath(fmt.Sprintf("/proc/%d/ns/net", n.HostPid(t, "fresh")), "")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	inside := 0
	if err := ns.Do(func() (err error) { inside, _, err = listeners(); return err }); err != nil || inside != 0 {
		t.Errorf("%d sockets listen in the container, %v", inside, err)
	}
	event("netns: ", fmt.Sprintf("netns %d added", ns.ID().Inode())) // with the addresses that it has by then
	nettest.Run(t, ns, "ip", "addr", "add", "10.201.7.1/24", "dev", "eth0")
	event("address: ", "fresh", "10.201.7.1/24", "added")
	nettest.Run(t, ns, "ip", "route", "add", "10.202.0.0/16", "via", "10.201.7.9")
	event("route: ", "fresh", "10.202.0.0/16", "added")
	do("network", "create", "later")
	event("network: ", "network later added")
	do("network", "connect", "later", "fresh")
	event("link: ", "fresh", "eth1", "added")
	event("container: ", "fresh", "later")
	do("network", "disconnect", "later", "fresh")
	event("link: ", "fresh", "eth1", "removed")
	do("rename", "fresh", "renamed")
	event("container: ", "renamed", "fresh")
	ns.Close()
	do("stop", "-t", "0", "renamed")
	event("container: ", "renamed", "exited")
	told = nil
	do("start", "renamed")
	event("container: ", "renamed", "running")
	do("rm", "-f", "renamed")
	event("container: ", "container renamed removed")
	do("network", "rm", "later")
	event("network: ", "network later removed")
}
