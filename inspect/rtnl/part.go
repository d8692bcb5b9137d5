package rtnl

// Part is a part of a namespace that can be read by itself: a set of bits.
type Part uint16

// The parts of a topology. Links include their addresses and VLANs: one without the other makes little sense.
const (
	Links Part = 1 << iota
	Routes
	Rules
	Neighbors
	FDB
	NSIDs

	Topology = Links | Routes | Rules | Neighbors | FDB | NSIDs
)

// Readers are the names by which gaps of these parts are called.
func (p Part) Readers() (out []string) {
	for _, r := range []struct {
		part  Part
		names []string
	}{
		{Links, []string{"links", "addresses", "bridge vlans"}}, {Routes, []string{"routes"}}, {Rules, []string{"rules"}}, {Neighbors, []string{"neighbors"}},
		{FDB, []string{"fdb"}}, {NSIDs, []string{"nsids"}},
	} {
		if p&r.part != 0 {
			out = append(out, r.names...)
		}
	}
	return out
}
