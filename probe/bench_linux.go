package probe

import (
	"context"
	"errors"
)

// Bench is not built yet.
func Bench(ctx context.Context, from *From, to To, o Options, b BenchOptions) (*Result, error) {
	return nil, errors.New("not built yet")
}
