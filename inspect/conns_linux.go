package inspect

import (
	"errors"

	"github.com/nscope/nscope/inspect/conntrack"
	"github.com/nscope/nscope/inspect/ipvs"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/procnet"
	"github.com/nscope/nscope/inspect/snapshot"
)

// ReadConns reads the connections of one namespace that match, at most limit of each kind (0 or less: no limit). The error is of
// entering the namespace; what could not be read in it is in Gaps.
func ReadConns(h *netns.Handle, f ConnFilter, limit int) (*Conns, error) {
	out := &Conns{Conns: []snapshot.Conn{}, Balanced: []snapshot.IPVSConn{}}
	gap := func(reader string, err error) {
		needs := needsOf(err)
		if errors.Is(err, conntrack.ErrNoModule) {
			needs = "the kernel module nf_conntrack_netlink"
		}
		out.Gaps = append(out.Gaps, snapshot.Gap{Namespace: h.ID(), Reader: reader, Error: err.Error(), Needs: needs})
	}
	var conn *conntrack.Conn
	err := h.Do(func() (err error) {
		if out.Sysctls, err = procnet.Sysctls(nil); err != nil {
			gap("sysctls", err)
		}
		if out.Counters, err = procnet.Counters(); err != nil {
			gap("counters", err)
		}
		procnet.Done()
		if out.Balanced, out.MoreBalanced, err = ipvs.Conns(limit, f.MatchIPVS); err != nil {
			gap("ipvs connections", err)
		}
		if conn, err = conntrack.Open(); err != nil {
			gap("conntrack", err)
		}
		return nil
	})
	if err != nil || conn == nil {
		return out, err
	}
	defer conn.Close()
	l, err := conn.Read(f, limit)
	if err != nil {
		gap("conntrack", err)
		return out, nil
	}
	out.Conns, out.Matched = l.Conns, l.Matched
	return out, nil
}
