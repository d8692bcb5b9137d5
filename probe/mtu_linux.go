package probe

import (
	"context"
	"errors"
)

// MTU is not built yet.
func MTU(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
