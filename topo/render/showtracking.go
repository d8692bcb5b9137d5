package render

import (
	"fmt"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

// tracking writes how full the table of connections is, and what went wrong for it.
func (s *shower) tracking(raw *snapshot.Namespace) {
	number := func(key string) (uint64, bool) {
		v, err := strconv.ParseUint(raw.Sysctls["net.netfilter."+key], 10, 64)
		return v, err == nil
	}
	count, ok := number("nf_conntrack_count")
	refused, drop, early := raw.Counters["conntrack.insert_failed"], raw.Counters["conntrack.drop"], raw.Counters["conntrack.early_drop"]
	if !ok || count|refused|drop|early == 0 {
		return
	}
	line := fmt.Sprintf("%d entries", count)
	limit, limited := number("nf_conntrack_max")
	if limited {
		line += fmt.Sprintf(" of at most %d", limit)
	}
	list := []string{line}
	switch {
	case limited && limit > 0 && count >= limit:
		list = append(list, "the table is full: packets of new connections are dropped")
	case limited && limit > 0 && count*10 >= limit*9:
		list = append(list, "the table is nearly full: when it is, packets of new connections are dropped (net.netfilter.nf_conntrack_max)")
	}
	for _, c := range []struct {
		n    uint64
		what string
	}{
		{drop, "dropped: the table was full, or an entry could not be made"},
		{early, "thrown out before their time, to make room"},
		{refused, "not entered: another entry had the same addresses (insert_failed)"},
	} {
		if c.n != 0 {
			list = append(list, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	s.list("CONNECTION TRACKING", list)
}
