package netfilter

import (
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// TestLegacyNeeds: a refusal names the capability, of the file of names as of the tables.
func TestLegacyNeeds(t *testing.T) {
	for _, err := range []error{unix.EPERM, &fs.PathError{Op: "open", Path: "ip_tables_names", Err: unix.EACCES}} {
		if n := needsLegacy(err); n != "CAP_NET_ADMIN" {
			t.Errorf("%v needs %q", err, n)
		}
	}
	if n := needsLegacy(unix.EAGAIN); n != "" {
		t.Errorf("EAGAIN needs %q", n)
	}
}

// TestLegacyWithoutRight reads tables that are there without CAP_NET_ADMIN over them: the kernel's refusal, not nothing.
func TestLegacyWithoutRight(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "iptables-legacy")
	h := nettest.New(t)
	nettest.Run(t, h, "iptables-legacy", "-A", "OUTPUT", "-j", "ACCEPT")
	err := h.Do(func() error {
		var head unix.CapUserHeader
		var had, without [2]unix.CapUserData
		head.Version = unix.LINUX_CAPABILITY_VERSION_3
		if err := unix.Capget(&head, &had[0]); err != nil {
			return err
		}
		without = had
		without[0].Effective &^= 1 << unix.CAP_NET_ADMIN // of this thread alone, until it is given back
		if err := unix.Capset(&head, &without[0]); err != nil {
			return err
		}
		var ns snapshot.Namespace
		gaps := 0
		ReadLegacy(&ns, func(reader string, err error, needs string) {
			gaps++
			if reader != "legacy iptables" || needs != "CAP_NET_ADMIN" || !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: %v (%s)", reader, err, needs)
			}
		})
		if err := unix.Capset(&head, &had[0]); err != nil {
			return err
		}
		if gaps != 1 || len(ns.Netfilter.Tables) != 0 {
			t.Errorf("%d gaps, %d tables", gaps, len(ns.Netfilter.Tables))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
