package probe

import (
	"context"
	"errors"
)

// ARP is not built yet.
func ARP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	return nil, errors.New("not built yet")
}
