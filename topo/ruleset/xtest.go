package ruleset

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// xtest answers what only an xtables module tests, as far as a description of a packet can say it.
func xtest(o *snapshot.NfOperand) load {
	switch {
	case strings.HasPrefix(o.Key, "physdev "):
		return physdev(strings.TrimPrefix(o.Key, "physdev "))
	case o.Key == "ipvs":
		return func(m *machine) val { return said(&m.p, FIPVS, boolean(false)) }
	case o.Key == "policy":
		return func(m *machine) val { return said(&m.p, FXfrm, boolean(o.Opts["pol"] == "none")) }
	case o.Key == "multiport ports":
		return func(m *machine) val {
			if !m.p.Says(FSport | FDport) {
				return opened
			}
			return val{kind: kEither, parts: []val{num(uint64(m.p.Sport), 16), num(uint64(m.p.Dport), 16)}}
		}
	case o.Key == "ctstate":
		return ctStates
	case strings.HasPrefix(o.Key, "rpfilter"):
		return rpfilter(o.Opts)
	}
	return always(opened)
}

// physdev is xt_physdev.c: the bridge ports, where br_netfilter has called the hook.
func physdev(what string) load {
	return func(m *machine) val {
		p := &m.p
		if !p.Says(FPhys) {
			return opened
		}
		switch what {
		case "in":
			return text(p.PhysIn)
		case "out":
			return text(p.PhysOut)
		case "is-in":
			return boolean(p.PhysIn != "")
		case "is-out":
			return boolean(p.PhysOut != "")
		case "is-bridged":
			return boolean(p.PhysIn != "" && p.PhysOut != "")
		}
		return opened
	}
}

// rpfilter is xt_rpfilter.c: whether a packet to the source would leave by the interface that this one came through.
func rpfilter(opts map[string]string) load {
	_, loose := opts["loose"]
	_, mark := opts["validmark"]
	_, local := opts["accept-local"]
	return func(m *machine) val {
		p := &m.p
		if !p.Says(FSrc | FIn | FMark) {
			return opened
		}
		if p.In.Name == "lo" {
			return boolean(true)
		}
		q := RouteQuery{Dst: p.Src}
		if !loose {
			q.Out = p.In.Name
		}
		if mark {
			q.Mark = p.Mark
		}
		r, ok := m.env.Route(q)
		if !ok {
			return opened
		}
		good := r.Type == "unicast" || r.Type == "local" && local
		return boolean(good && (loose || r.Out.Name == p.In.Name))
	}
}

// ctStates is what xt_conntrack.c takes for the states of a packet: that of nftables, and SNAT and DNAT beside it.
func ctStates(m *machine) val {
	p := &m.p
	var names []string
	switch {
	case p.Untracked:
		names = append(names, "UNTRACKED")
	case !p.Tracked:
		names = append(names, "INVALID")
	case !p.Says(FCt | FCtStatus):
		return opened
	default:
		names = append(names, map[uint8]string{CtInvalid: "INVALID", CtNew: "NEW", CtRelated: "RELATED", CtEstablished: "ESTABLISHED"}[p.Ct])
		if p.CtStatus&CtSNAT != 0 {
			names = append(names, "SNAT")
		}
		if p.CtStatus&CtDNAT != 0 {
			names = append(names, "DNAT")
		}
	}
	v := val{kind: kEither}
	for _, n := range names {
		v.parts = append(v.parts, text(n))
	}
	return v
}
