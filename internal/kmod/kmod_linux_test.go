package kmod

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPresent(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, m := range []string{"tcp_diag", "udp_diag", "raw_diag"} {
			if present(dir, dir+"/", m) {
				got = append(got, m)
			}
		}
		if !gocmp.Equal(want, got) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("no modules in this kernel", "tcp_diag", "udp_diag", "raw_diag")
	write("modules", "veth 1 0 - Live 0x0\ntcp_diag 16384 0 - Live 0x0\ninet_diag 28672 1 tcp_diag, Live 0x0\n")
	write("sys/kernel/modprobe", "/sbin/modprobe\n")
	write("sys/kernel/modules_disabled", "0\n")
	check("one loaded, nothing told of what is built in", "tcp_diag")
	write("kallsyms", "0000000000000000 t raw_diag_dump\n0000000000000000 t raw_diag_dump_one\n")
	check("a symbol tells of one built in", "tcp_diag", "raw_diag")
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	write("lib/modules/"+unix.ByteSliceToString(u.Release[:])+"/modules.builtin", "kernel/net/ipv4/inet_diag.ko\nkernel/net/ipv4/udp_diag.ko\n")
	check("one built in", "tcp_diag", "udp_diag")
	write("sys/kernel/modules_disabled", "1\n")
	check("no more are loaded", "tcp_diag", "udp_diag", "raw_diag")
}
