package probe

import (
	"context"
	"net/netip"
)

// Lookup resolves a name as FROM itself would: /etc/hosts, then the servers of its /etc/resolv.conf with search list and
// ndots. The error is a [*LookupError] where the answer is that there is none.
func (f *From) Lookup(ctx context.Context, host string, o Options) ([]netip.Addr, error) {
	return nil, &LookupError{host, NotFound, "not built yet"}
}
