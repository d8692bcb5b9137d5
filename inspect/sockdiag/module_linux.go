package sockdiag

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/internal/nlwire"
)

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
