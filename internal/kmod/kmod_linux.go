package kmod

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// asked remembers which modules may be asked. One that is there stays: nobody unloads it for nothing.
var asked struct {
	sync.Mutex
	ok     map[string]bool
	looked map[string]time.Time
}

// MayAsk tells whether a question to this module cannot load it: because it is there, built in or loaded, or because the
// kernel loads none. It looks again, at most once a second, while it is not.
func MayAsk(module string) bool {
	asked.Lock()
	defer asked.Unlock()
	if asked.ok == nil {
		asked.ok, asked.looked = map[string]bool{}, map[string]time.Time{}
	}
	if !asked.ok[module] && time.Since(asked.looked[module]) > time.Second {
		asked.looked[module] = time.Now()
		asked.ok[module] = present("/proc", "/", module)
	}
	return asked.ok[module]
}

// present finds whether a module is there, in the /proc and with the /lib/modules given.
func present(proc, root, module string) bool {
	loaded, err := os.ReadFile(proc + "/modules")
	if errors.Is(err, os.ErrNotExist) {
		return true // a kernel without modules
	}
	for _, name := range []string{"/sys/kernel/modules_disabled", "/sys/kernel/modprobe"} {
		b, err := os.ReadFile(proc + name)
		b = bytes.TrimSpace(b)
		// No program to load modules with, or loading forbidden until the next boot.
		if err == nil && (name == "/sys/kernel/modprobe" && len(b) == 0 || string(b) == "1") {
			return true
		}
	}
	if bytes.HasPrefix(loaded, []byte(module+" ")) || bytes.Contains(loaded, []byte("\n"+module+" ")) {
		return true
	}
	builtin, err := builtins(root)
	if err != nil { // no distribution left a list
		return symbol(proc, symbols[module])
	}
	return bytes.Contains(builtin, []byte("/"+module+".ko\n"))
}

// symbols are functions of modules that other packages ask, for kernels of which no list says what is built in.
var symbols = map[string]string{
	"nf_tables": "nf_tables_newtable", "nfnetlink": "nfnetlink_subsys_register", "ip_vs": "ip_vs_genl_dump_services", "nf_conntrack_netlink": "ctnetlink_dump_table",
	"tcp_diag": "tcp_diag_dump", "udp_diag": "udp_diag_dump", "raw_diag": "raw_diag_dump",
}

// symbol looks for a function of the kernel.
func symbol(proc, name string) bool {
	f, err := os.Open(proc + "/kallsyms")
	if err != nil || name == "" {
		return false
	}
	defer f.Close()
	want := []byte(" " + name)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if bytes.HasSuffix(sc.Bytes(), want) {
			return true
		}
	}
	return false
}

// builtins is the list of modules that are part of the running kernel.
func builtins(root string) ([]byte, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	return os.ReadFile(root + "lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/modules.builtin")
}
