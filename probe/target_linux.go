package probe

import (
	"context"
	"errors"
	"net/netip"
)

// target finds the address to ask: the first of TO's in the wanted family, after asking FROM's resolver where TO is a name.
// Where there is none the result is ended and ok false; the error is for what kept it from asking.
func (f *From) target(ctx context.Context, to *To, o Options, r *Result) (addr netip.Addr, ok bool, err error) {
	if len(to.Addrs) == 0 && to.Host != "" {
		to.Addrs, err = f.Lookup(ctx, to.Host, o)
		var lookup *LookupError
		if errors.As(err, &lookup) {
			r.end(lookup.Class, lookup.Error())
			return addr, false, nil
		}
		if err != nil {
			return addr, false, err
		}
		r.To.Resolved = append(r.To.Resolved, to.Addrs...)
	}
	family := o.Family
	if family == 0 && o.Src.IsValid() {
		family = 6
		if o.Src.Unmap().Is4() {
			family = 4
		}
	}
	for _, a := range to.Addrs {
		if a = a.Unmap(); family == 0 || a.Is4() == (family == 4) {
			r.To.Addr = a
			return a, true, nil
		}
	}
	if len(to.Addrs) == 0 {
		return addr, false, optionf("%s has no address", to.label())
	}
	r.end(NotFound, to.label()+" has no IPv"+map[int]string{4: "4", 6: "6"}[family]+" address")
	return addr, false, nil
}
