package probe

import (
	"context"
	"errors"
)

// Ping is not built yet.
func Ping(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
