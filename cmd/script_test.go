package cmd_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nscope/nscope/cmd"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

var update = flag.Bool("update", false, "write what the commands print now into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"nscope":         func() { os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) },
		"docker-nscope":  func() { os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) },
		"kubectl-nscope": func() { os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// recordKey is the one that the recorded snapshots were redacted with (internal/e2e).
const recordKey = "nscope's recorded fixtures"

// TestScripts runs testdata/script on the recorded snapshots: no root, no Linux.
//
// The snapshots' folder is $R; $D is that of labs, which the documentation has, $C of captures. Names are redacted: $c1 is what container c1 is called there; other facts are asked with
// get: "get VAR FIELD KIND NAME FILE…" sets VAR to the node's id, inode, pid, mac, addr, cid, vni or vip.
func TestScripts(t *testing.T) {
	dir, err := filepath.Abs("../fixtures/recorded")
	if err != nil {
		t.Fatal(err)
	}
	captures, err := filepath.Abs("testdata/capture")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("R", dir)
			env.Setenv("D", filepath.Join(dir, "../../docs/examples"))
			env.Setenv("C", captures)
			for _, name := range []string{"c1", "c2", "cc", "h1", "m1", "n1", "u2", "appnet", "lan", "node1", "node2", "backend", "web", "edge", "api", "cache", "db", "p2", "podman1", "kube1", "shop/front", "shop/front/app"} {
				env.Setenv(strings.ReplaceAll(name, "/", "_"), redacted(name))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"get":  get,
			"code": code,
		},
	})
}

// redacted is what a name is called in the recorded snapshots.
func redacted(name string) string {
	s := &snapshot.Snapshot{Networks: []snapshot.Network{{Name: name}}}
	s.Redact(recordKey)
	return s.Networks[0].Name
}

func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 5 {
		ts.Fatalf("usage: get VAR FIELD KIND NAME FILE...")
	}
	var snaps []*snapshot.Snapshot
	for _, f := range args[4:] {
		s, err := snapshot.Load(f)
		ts.Check(err)
		snaps = append(snaps, s)
	}
	g := topo.Build(snaps...)
	n, err := g.Resolve(args[2] + ":" + args[3])
	ts.Check(err)
	a := n.Attrs
	fields := map[string]func() string{
		"id": func() string { return n.ID }, "inode": func() string { return strconv.FormatUint(a.Inode, 10) },
		"pid": func() string { return strconv.Itoa(a.PID) }, "mac": func() string { return a.MAC },
		"addr": func() string { addr, _, _ := strings.Cut(a.Addrs[0], "/"); return addr },
		"cid":  func() string { return a.ContainerID }, "vni": func() string { return fmt.Sprint(a.VNI) }, "vip": func() string { return a.VIPs[0] },
		"netns": func() string { ns, _ := g.Netns(n); return strconv.FormatUint(ns.Attrs.Inode, 10) },
		"path":  func() string { ns, _ := g.Netns(n); return ns.Attrs.Paths[0] },
		"eth0": func() string {
			ns, _ := g.Netns(n)
			return "netns:" + strconv.FormatUint(ns.Attrs.Inode, 10) + "/eth0"
		},
		"peer": func() string {
			ns, _ := g.Netns(n)
			for _, e := range g.In(ns.ID, topo.EdgeIn) {
				if l, _ := g.Node(e.From); l.Name == "eth0" {
					return g.Peer(l).Name
				}
			}
			return ""
		},
	}
	f := fields[args[1]]
	if f == nil {
		ts.Fatalf("no field %s", args[1])
	}
	ts.Setenv(args[0], f())
}

// code runs a command that must end with the given exit code: "code 2 nscope show nothing".
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		got = -1
		if e, ok := err.(interface{ ExitCode() int }); ok {
			got = e.ExitCode()
		}
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s (%v)", got, args[0], err)
	}
}
