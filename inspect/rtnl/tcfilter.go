package rtnl

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Numbers of pkt_sched.h, pkt_cls.h and rtnetlink.h.
const (
	tcaOptions = 2
	tcaChain   = 11

	tcClsactIngress = 0xfffffff2 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
	tcClsactEgress  = 0xfffffff3

	actKind, actOptions, actStats = 1, 2, 4
	actParms                      = 2 // TCA_GACT_PARMS and TCA_MIRRED_PARMS: begin with what tc_gen defines

	bpfName, bpfTag, bpfID = 7, 10, 11
)

// actionsAt is the attribute of a filter's options that holds its actions, by kind.
var actionsAt = map[string]uint16{"u32": 7, "basic": 3, "flower": 3, "matchall": 2, "fw": 4, "cgroup": 1, "flow": 9, "bpf": 1, "route": 6}

// results are TC_ACT_*.
var results = map[int]string{-1: "continue", 0: "pass", 1: "reclassify", 2: "drop", 3: "pipe", 4: "stolen", 5: "queued", 6: "repeat", 7: "redirect", 8: "trap"}

// filtered are kinds of qdiscs that sort packets by filters.
var filtered = []string{"htb", "hfsc", "prio", "drr", "qfq", "ets", "cbq", "dsmark", "multiq", "fq_codel", "sfq", "choke", "cake"}

// filterParents are what filters may hang on in a qdisc: nothing where nobody made it, as the default ones have no handle.
func filterParents(q *snapshot.Qdisc) []uint32 {
	switch {
	case q.Kind == "clsact":
		return []uint32{tcClsactIngress, tcClsactEgress}
	case q.Kind == "ingress":
		return []uint32{tcClsactIngress}
	case q.Handle != "0:0" && slices.Contains(filtered, q.Kind):
		var major uint32
		if _, err := fmt.Sscanf(q.Handle, "%x:", &major); err == nil {
			return []uint32{major << 16}
		}
	}
	return nil
}

// filterParent is what a parent that was asked for is called.
func filterParent(h uint32) string {
	switch h {
	case tcClsactIngress:
		return "ingress"
	case tcClsactEgress:
		return "egress"
	}
	return tcHandle(h)
}

// decodeFilter decodes the body of an RTM_NEWTFILTER message; one that stands for a group of filters is none.
func decodeFilter(b []byte, f *snapshot.TCFilter) bool {
	if len(b) < tcmsgLen {
		return false
	}
	info := nlwire.U32(b[16:])
	*f = snapshot.TCFilter{
		Ifindex: nlwire.I32(b[4:]), Handle: "0x" + strconv.FormatUint(uint64(nlwire.U32(b[8:])), 16), Parent: filterParent(nlwire.U32(b[12:])),
		Priority: uint16(info >> 16), Protocol: ethertype(nlwire.BE16(b[16+lowHalf:])), Actions: []snapshot.TCAction{},
	}
	var options []byte
	for a := nlwire.WalkAfter(b, tcmsgLen); a.Next(); {
		switch a.Type {
		case tcaKind:
			f.Kind = text(a.Val)
		case tcaChain:
			f.Chain = nlwire.U32(a.Val)
		case tcaOptions:
			options = a.Val
		}
	}
	at, known := actionsAt[f.Kind]
	for a := nlwire.Walk(options); a.Next(); {
		switch {
		case known && a.Type == at:
			for in := nlwire.Walk(a.Val); in.Next(); {
				f.Actions = append(f.Actions, decodeAction(in.Val))
			}
		case f.Kind != "bpf":
		case a.Type == bpfName:
			f.ProgName = text(a.Val)
		case a.Type == bpfTag:
			f.ProgTag = hex.EncodeToString(a.Val[:min(8, len(a.Val))])
		case a.Type == bpfID:
			f.ProgID = nlwire.U32(a.Val)
		}
	}
	return options != nil
}

// lowHalf is where the lower 16 bits of a number in host byte order lie: tcm_info has there what is in network byte order.
var lowHalf = func() int {
	if nlwire.U16([]byte{1, 0}) == 1 {
		return 0
	}
	return 2
}()

var ethertypes = map[uint16]string{0x0003: "all", 0x0800: "ip", 0x0806: "arp", 0x86dd: "ipv6", 0x8100: "802.1Q", 0x88a8: "802.1ad"}

func ethertype(v uint16) string {
	if s, ok := ethertypes[v]; ok {
		return s
	}
	return fmt.Sprintf("0x%04x", v)
}

func decodeAction(b []byte) (act snapshot.TCAction) {
	var options []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case actKind:
			act.Kind = text(a.Val)
		case actOptions:
			options = a.Val
		case actStats:
			var q snapshot.Qdisc
			decodeStats2(a.Val, &q)
			act.Bytes, act.Packets, act.Drops, act.Overlimits = q.Bytes, q.Packets, q.Drops, q.Overlimits
		}
	}
	if act.Kind != "gact" && act.Kind != "mirred" {
		return act
	}
	for a := nlwire.Walk(options); a.Next(); {
		if v := a.Val; a.Type == actParms && len(v) >= 20 { // tc_gen: index, capab, action, refcnt, bindcnt
			n := nlwire.I32(v[8:])
			if act.Result = results[n]; act.Result == "" {
				act.Result = strconv.Itoa(n)
			}
			if act.Kind == "mirred" && len(v) >= 28 { // and what, and where
				act.To = nlwire.I32(v[24:])
			}
		}
	}
	return act
}
