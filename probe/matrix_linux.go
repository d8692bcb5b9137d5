package probe

import (
	"context"
	"errors"
)

// Matrix is not built yet.
func Matrix(ctx context.Context, members []Member, o Options, m MatrixOptions) (*MatrixResult, error) {
	return nil, errors.New("not built yet")
}
