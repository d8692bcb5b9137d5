package probe

import (
	"context"
	"errors"
)

// HTTP is not built yet.
func HTTP(ctx context.Context, from *From, to To, o Options, req Request) (*Result, error) {
	return nil, errors.New("not built yet")
}
