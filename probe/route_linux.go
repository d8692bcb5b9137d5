package probe

import (
	"context"
	"errors"
)

// Route is not built yet.
func Route(ctx context.Context, from *From, to To, o Options, how RouteOptions) (*Result, error) {
	return nil, errors.New("not built yet")
}
