package probe

import (
	"context"
	"errors"
)

// All is not built yet.
func All(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
