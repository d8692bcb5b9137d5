package rtnl

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// testNS is a namespace that lives as long as the test.
type testNS struct {
	tb testing.TB
	*nettest.Handle
}

func newNS(tb testing.TB) testNS {
	tb.Helper()
	nettest.NeedsTool(tb, "ip", "bridge", "tc")
	return testNS{tb, nettest.New(tb)}
}

// ip runs one ip command per line.
func (ns testNS) ip(lines string) {
	ns.tb.Helper()
	for line := range strings.Lines(lines) {
		if args := strings.Fields(line); len(args) > 0 {
			nettest.Run(ns.tb, ns.Handle, "ip", args...)
		}
	}
}

// try runs a command line and tells whether it succeeded.
func (ns testNS) try(line string) bool {
	args := strings.Fields(line)
	_, err := nettest.Try(ns.Handle, args[0], args[1:]...)
	return err == nil
}

// json runs a command line that prints JSON.
func (ns testNS) json(into any, line string) {
	ns.tb.Helper()
	args := strings.Fields(line)
	cmd := exec.Command(args[0], args[1:]...)
	var out []byte
	// Standard output alone: ip may complain of a nexthop between two routes.
	if err := ns.Do(func() (err error) { out, err = cmd.Output(); return err }); err != nil {
		ns.tb.Fatalf("%s: %v", line, err)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return // nothing at all is ip's empty list
	}
	if err := json.Unmarshal(out, into); err != nil {
		ns.tb.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// path is one that other programs can open.
func (ns testNS) path() string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(ns.FD())
}

// open opens a Conn inside.
func (ns testNS) open() *Conn {
	ns.tb.Helper()
	var c *Conn
	if err := ns.Do(func() (err error) { c, err = Open(); return err }); err != nil {
		ns.tb.Fatal(err)
	}
	ns.tb.Cleanup(func() { c.Close() })
	return c
}

// read reads everything and allows no gap.
func (ns testNS) read() *snapshot.Namespace {
	ns.tb.Helper()
	var out snapshot.Namespace
	ns.open().Read(&out, func(reader string, err error, needs string) { ns.tb.Errorf("gap: %s: %v (%s)", reader, err, needs) })
	return &out
}

// link finds a link by name.
func link(tb testing.TB, ns *snapshot.Namespace, name string) *snapshot.Link {
	tb.Helper()
	for i := range ns.Links {
		if ns.Links[i].Name == name {
			return &ns.Links[i]
		}
	}
	tb.Fatalf("no link %s among %d", name, len(ns.Links))
	return nil
}

// agree compares until nothing differs: the kernel's own work (carrier, duplicate address detection, queues) goes on between
// what is read and what the oracle is asked.
func agree(tb testing.TB, compare func() string) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		d := compare()
		if d == "" {
			return
		}
		if tb.Failed() || time.Now().After(deadline) {
			tb.Errorf("(-oracle +nscope):\n%s", d)
			return
		}
	}
}
