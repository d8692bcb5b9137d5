package sockdiag

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/internal/nlwire"
)

// asked remembers which modules may be asked. One that is there stays: nobody unloads it for nothing.
var asked struct {
	sync.Mutex
	ok     map[string]bool
	looked time.Time
}

// mayAsk tells whether a question to this module cannot load it: because it is there, built in or loaded, or because the
// kernel loads none.
func mayAsk(module string) bool {
	asked.Lock()
	defer asked.Unlock()
	if asked.ok[module] {
		return true
	}
	if time.Since(asked.looked) > time.Second {
		asked.looked = time.Now()
		asked.ok = present("/proc", "/")
	}
	return asked.ok[module]
}

// present finds which of the modules are there, in the /proc and with the /lib/modules given.
func present(proc, root string) map[string]bool {
	ok := map[string]bool{}
	loaded, err := os.ReadFile(proc + "/modules")
	all := errors.Is(err, os.ErrNotExist) // a kernel without modules
	for _, name := range []string{"/sys/kernel/modules_disabled", "/sys/kernel/modprobe"} {
		b, err := os.ReadFile(proc + name)
		b = bytes.TrimSpace(b)
		// No program to load modules with, or loading forbidden until the next boot.
		if err == nil && (name == "/sys/kernel/modprobe" && len(b) == 0 || string(b) == "1") {
			all = true
		}
	}
	builtin := builtins(root)
	for _, m := range []string{"tcp_diag", "udp_diag", "raw_diag"} {
		ok[m] = all ||
			bytes.HasPrefix(loaded, []byte(m+" ")) || bytes.Contains(loaded, []byte("\n"+m+" ")) ||
			bytes.Contains(builtin, []byte("/"+m+".ko\n"))
	}
	return ok
}

// answering remembers which tables sock_diag knows: a kernel may be built without raw_diag, or without any.
var answering sync.Map // *table → bool

// answers tells whether sock_diag has this table, by asking for the sockets in no state at all.
func answers(s *nlwire.Socket, t *table) bool {
	if known, ok := answering.Load(t); ok {
		return known.(bool)
	}
	req := nlwire.NewRequest(sockDiagByFamily, unix.NLM_F_DUMP, request(t.family, t.number, 0))
	err := s.Do(req, func(nlwire.Message) {})
	// EINVAL comes from kernels before 4.10, whose sock_diag has no raw sockets.
	ok := !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP)
	answering.Store(t, ok)
	return ok
}

// builtins is the list of modules that are part of the running kernel, empty where no distribution left one.
func builtins(root string) []byte {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return nil
	}
	b, err := os.ReadFile(root + "lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/modules.builtin")
	if err != nil {
		return nil
	}
	return b
}
