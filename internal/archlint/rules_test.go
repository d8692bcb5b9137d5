package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBreachesAreFound proves that each rule can fail.
func TestBreachesAreFound(t *testing.T) {
	for name, tc := range map[string]struct{ file, src, want string }{
		"setns elsewhere":          {"cmd/x.go", `package cmd; import "golang.org/x/sys/unix"; func f() { unix.Setns(0, 0) }`, "only inspect/netns switches"},
		"setns under an alias":     {"topo/x.go", `package topo; import u "golang.org/x/sys/unix"; var f = u.Setns`, "only inspect/netns switches"},
		"unshare in a test":        {"inspect/rtnl/x_test.go", `package rtnl; import "golang.org/x/sys/unix"; var f = unix.Unshare`, "only inspect/netns switches"},
		"netns library elsewhere":  {"inspect/x.go", `package inspect; import "github.com/vishvananda/netns"; var f = netns.Set`, "only inspect/netns may import"},
		"netlink elsewhere":        {"inspect/x.go", `package inspect; import "github.com/vishvananda/netlink"; var f = netlink.LinkList`, "inspect/rtnl, fixtures, internal/e2e may import"},
		"netlink/nl elsewhere":     {"capture/x.go", `package capture; import "github.com/vishvananda/netlink/nl"; var f = nl.FAMILY_V4`, "inspect/rtnl, fixtures, internal/e2e may import"},
		"handle at":                {"inspect/rtnl/x.go", `package rtnl; import "github.com/vishvananda/netlink"; var f = netlink.NewHandleAt`, "switches namespaces by itself"},
		"nftables with netns":      {"inspect/x.go", `package inspect; import "github.com/google/nftables"; var f = nftables.WithNetNSFd`, "switches namespaces by itself"},
		"topo reads":               {"topo/x.go", `package topo; import _ "github.com/nscope/nscope/inspect/rtnl"`, "may not import"},
		"topo render reads":        {"topo/render/x.go", `package render; import _ "github.com/nscope/nscope/inspect"`, "may not import"},
		"snapshot imports upwards": {"inspect/snapshot/x.go", `package snapshot; import _ "github.com/nscope/nscope/topo"`, "may not import"},
		"unknown package":          {"novel/x.go", `package novel; import _ "github.com/nscope/nscope/topo"`, "may not import"},
		"exit below main":          {"inspect/x.go", `package inspect; import "os"; func f() { os.Exit(1) }`, "only os.Exit"},
		"running a program":        {"inspect/x.go", `package inspect; import _ "os/exec"`, "may import os/exec"},
		"dot import":               {"cmd/x.go", `package cmd; import . "golang.org/x/sys/unix"`, "dot import"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tc.file, tc.src)
			found, files, err := check(dir)
			if err != nil || files != 1 {
				t.Fatal(files, err)
			}
			if len(found) != 1 || !strings.Contains(found[0], tc.want) {
				t.Errorf("found %q, want one with %q", found, tc.want)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "inspect/netns/x.go", `package netns; import "golang.org/x/sys/unix"; func f() { unix.Setns(0, 0) }`)
	write(t, dir, "inspect/x.go", `package inspect; import _ "github.com/nscope/nscope/inspect/rtnl"`)
	write(t, dir, "topo/x_test.go", `package topo; import _ "github.com/nscope/nscope/fixtures/peer"`)
	write(t, dir, "cmd/x.go", `package cmd; import _ "github.com/nscope/nscope/topo/render"`)
	if found, _, err := check(dir); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
}

func write(t *testing.T, dir, name, src string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
}
