package netfilter

import (
	"encoding/hex"

	"github.com/nscope/nscope/inspect/snapshot"
)

// The families, by nft's names, that a structure stands for: the same name means different things to some of them.
const (
	inIP     = 1 << iota // iptables
	inIP6                // ip6tables
	inARP                // arptables
	inBridge             // ebtables
	inInet               // nftables' own family: no iptables makes it, the kernel allows it

	inIPs = inIP | inIP6
	inAny = inIP | inIP6 | inARP | inBridge | inInet
)

var xtFamilies = map[string]int{"ip": inIP, "ip6": inIP6, "arp": inARP, "bridge": inBridge, "inet": inInet}

// xtKind is one structure of one extension. The kernel's name and revision name it, by family.
type xtKind struct {
	name     string
	rev      uint8
	families int
	size     int // sizeof the structure of the uapi header on a 64-bit machine
}

type xtMatchKind struct {
	xtKind
	decode func(xtData) ([]snapshot.NfMatch, bool)
}

type xtTargetKind struct {
	xtKind
	decode func(xtData) (snapshot.NfExpr, bool)
}

type xtID struct {
	name string
	rev  uint8
}

var (
	xtMatchesByID = byID(xtMatches, func(k xtMatchKind) xtKind { return k.xtKind })
	xtTargetsByID = byID(xtTargets, func(k xtTargetKind) xtKind { return k.xtKind })
)

func byID[K any](all []K, kind func(K) xtKind) map[xtID][]K {
	m := make(map[xtID][]K, len(all))
	for _, k := range all {
		id := xtID{kind(k).name, kind(k).rev}
		m[id] = append(m[id], k)
	}
	return m
}

// fits tells whether data can be this structure. The kernel pads it to the alignment of a 64-bit number (XT_ALIGN).
func (k xtKind) fits(family string, data []byte) bool {
	return k.families&xtFamilies[family] != 0 && len(data) == (k.size+7)&^7
}

// xtMatch decodes the structure of a match, as it follows struct xt_entry_match or stands in NFTA_MATCH_INFO, into the
// conditions that nftables' own expressions for the same would give. None and true: it always matches. False: not
// understood.
func xtMatch(family, name string, rev uint8, data []byte) ([]snapshot.NfMatch, bool) {
	for _, k := range xtMatchesByID[xtID{name, rev}] {
		if k.fits(family, data) {
			return k.decode(xtData{data, family, name, rev})
		}
	}
	return nil, false
}

// xtTarget decodes the structure of a target, as it follows struct xt_entry_target or stands in NFTA_TARGET_INFO. False:
// not understood.
func xtTarget(family, name string, rev uint8, data []byte) (snapshot.NfExpr, bool) {
	for _, k := range xtTargetsByID[xtID{name, rev}] {
		if k.fits(family, data) {
			e, ok := k.decode(xtData{data, family, name, rev})
			e.XT = xtName(name, rev)
			return e, ok
		}
	}
	return snapshot.NfExpr{}, false
}

// xtMatchExpr is the whole expression of a match: what [xtMatch] says, or what is unknown, and the name it was written as.
func xtMatchExpr(family, name string, rev uint8, data []byte) snapshot.NfExpr {
	e := snapshot.NfExpr{XT: xtName(name, rev)}
	matches, ok := xtMatch(family, name, rev, data)
	switch {
	case !ok:
		e.Unknown = &snapshot.NfUnknown{Kind: "match", Name: name, Data: hex.EncodeToString(data)}
	case name == "limit":
		e.Limit = xtLimit(xtData{data, family, name, rev})
	default:
		e.Matches = matches
	}
	return e
}

// xtTargetExpr is the whole expression of a target.
func xtTargetExpr(family, name string, rev uint8, data []byte) snapshot.NfExpr {
	e, ok := xtTarget(family, name, rev, data)
	if !ok {
		return snapshot.NfExpr{
			XT:      xtName(name, rev),
			Unknown: &snapshot.NfUnknown{Kind: "target", Name: name, Data: hex.EncodeToString(data)},
		}
	}
	return e
}

// xtNames are shared by all expressions of the same extension: there are few, and hundreds of thousands of rules.
var xtNames = func() map[xtID]*snapshot.NfXT {
	m := map[xtID]*snapshot.NfXT{}
	for _, k := range xtMatches {
		m[xtID{k.name, k.rev}] = &snapshot.NfXT{Name: k.name, Rev: k.rev}
	}
	for _, k := range xtTargets {
		m[xtID{k.name, k.rev}] = &snapshot.NfXT{Name: k.name, Rev: k.rev}
	}
	return m
}()

func xtName(name string, rev uint8) *snapshot.NfXT {
	if x := xtNames[xtID{name, rev}]; x != nil {
		return x
	}
	return &snapshot.NfXT{Name: name, Rev: rev}
}
