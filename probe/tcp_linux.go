package probe

import (
	"context"
	"errors"
)

// TCP is not built yet.
func TCP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
