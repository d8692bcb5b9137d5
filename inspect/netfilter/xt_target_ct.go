package netfilter

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// ctEvents are the events of a connection by bit (enum ip_conntrack_events), in iptables' order.
var ctEvents = []struct {
	bit  int
	name string
}{{0, "new"}, {1, "related"}, {2, "destroy"}, {3, "reply"}, {4, "assured"}, {5, "protoinfo"}, {6, "helper"}, {7, "mark"}, {8, "natseqinfo"}, {9, "secmark"}}

// xtCT decodes struct xt_ct_target_info and xt_ct_target_info_v1, which adds a timeout policy.
func xtCT(d xtData) (e snapshot.NfExpr, ok bool) {
	flags := d.u16(0)
	if flags&^0x1f != 0 {
		return e, false
	}
	var opts []string
	add := func(name, value string) {
		if value != "" {
			opts = append(opts, name, value)
		}
	}
	add("helper", d.str(12, 16))
	if d.rev > 0 {
		add("timeout", d.str(28, 32))
	}
	var events []string
	for _, ev := range ctEvents {
		if d.u32(4)>>ev.bit&1 != 0 {
			events = append(events, ev.name)
		}
	}
	add("ctevents", strings.Join(events, ","))
	if d.u32(8)&1 != 0 {
		add("expevents", "new")
	}
	zone := "zone"
	switch flags & 0x0c {
	case 4:
		zone = "zone-orig"
	case 8:
		zone = "zone-reply"
	}
	switch {
	case flags&0x10 != 0:
		add(zone, "mark")
	case d.u16(2) != 0:
		add(zone, dec(d.u16(2)))
	}
	name := "ct"
	switch {
	case flags&2 != 0:
		name = "notrack"
		opts = append(opts, "as", "NOTRACK")
	case flags&1 != 0:
		name = "notrack"
	}
	return action(name, opts...), true
}

// xtNoTrack is a target without a structure.
func xtNoTrack(xtData) (snapshot.NfExpr, bool) { return action("notrack"), true }
