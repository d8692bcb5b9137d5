package inspect

import (
	"github.com/nscope/nscope/inspect/conntrack"
	"github.com/nscope/nscope/inspect/snapshot"
)

// ConnFilter says which connections [ReadConns] is asked for.
type ConnFilter = conntrack.Filter

// Conns is what [ReadConns] found in one namespace.
type Conns struct {
	// Conns and Balanced are entries of connection tracking and of IPVS, each at most as many as asked for.
	Conns    []snapshot.Conn
	Balanced []snapshot.IPVSConn
	// Matched is how many entries of connection tracking match; MoreBalanced tells that IPVS has more than are in Balanced.
	Matched      int
	MoreBalanced bool
	// Sysctls and Counters are those of [snapshot.Namespace].
	Sysctls  map[string]string
	Counters map[string]uint64
	// Gaps say what of this could not be read.
	Gaps []snapshot.Gap
}
