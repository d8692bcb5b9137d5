package probe

import (
	"context"
	"errors"
)

// Listen is not built yet.
func Listen(ctx context.Context, at *From, o Options, l ListenOptions) (*Result, error) {
	return nil, errors.New("not built yet")
}
