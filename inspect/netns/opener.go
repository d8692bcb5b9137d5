package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Opener opens namespaces by their identity. The search for what leads to them is made once, and again for what came after it. It is for one
// goroutine.
type Opener struct {
	proc  string
	found *Found
}

// NewOpener searches below proc ("/proc"), when it is first asked.
func NewOpener(proc string) *Opener { return &Opener{proc: proc} }

// Open opens a namespace; name is what errors call its owner. The error wraps [ErrGone], [ErrNoWay] or a [DeniedError].
func (o *Opener) Open(ctx context.Context, id snapshot.NSID, name string) (*Handle, error) {
	old := o.found != nil
	if !old {
		found, err := Find(ctx, WithProc(o.proc))
		if err != nil {
			return nil, err
		}
		o.found = found
	}
	ns, ok := o.found.Namespace(id)
	if !ok && old && !id.Hidden() {
		o.found = nil
		return o.Open(ctx, id, name)
	}
	err := ErrGone
	if id.Hidden() {
		err = ErrNoWay
	}
	var h *Handle
	if ok {
		h, err = ns.Open()
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, Denied(name, err)
	}
	if old && ok && errors.Is(err, ErrGone) && !id.Hidden() {
		// The kernel gives an inode number again: what the search found under it has ended, what is asked for came later.
		o.found = nil
		return o.Open(ctx, id, name)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot enter the netns of %s: %w", name, err)
	}
	return h, nil
}
