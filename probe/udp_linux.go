package probe

import (
	"context"
	"errors"
)

// UDP is not built yet.
func UDP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
