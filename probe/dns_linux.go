package probe

import (
	"context"
	"errors"
)

// DNS is not built yet.
func DNS(ctx context.Context, from *From, to To, o Options, q Question) (*Result, error) {
	return nil, errors.New("not built yet")
}
