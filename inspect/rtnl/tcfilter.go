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

	bpfName, bpfFlags, bpfTag, bpfID = 7, 8, 10, 11
	bpfFlagDirect                    = 1 // TCA_BPF_FLAG_ACT_DIRECT
	actBPFName, actBPFTag, actBPFID  = 6, 8, 9
)

// parmsAt is the attribute of an action's options that begins with what tc_gen defines: TCA_GACT_PARMS and the like.
var parmsAt = map[string]uint16{
	"gact": 2, "mirred": 2, "skbedit": 2, "pedit": 2, "vlan": 2, "tunnel_key": 2, "bpf": 2, "sample": 2, "mpls": 2, "simple": 2, "skbmod": 2,
	"csum": 1, "nat": 1, "ct": 1, "connmark": 1, "ife": 1, "ctinfo": 3, "gate": 2,
	"police": 1, // TCA_POLICE_TBF: struct tc_police, which begins with an index and the action
}

// classAt is the attribute of a filter's options that names a class: TCA_U32_CLASSID and the like.
var classAt = map[string]uint16{"u32": 1, "basic": 1, "flower": 1, "matchall": 1, "fw": 1, "bpf": 3, "route": 1, "flow": 3}

// actionsAt is the attribute of a filter's options that holds its actions, by kind.
var actionsAt = map[string]uint16{"u32": 7, "basic": 3, "flower": 3, "matchall": 2, "fw": 4, "cgroup": 1, "flow": 9, "bpf": 1, "route": 6}

// results are TC_ACT_*.
var results = map[int]string{-1: "continue", 0: "pass", 1: "reclassify", 2: "drop", 3: "pipe", 4: "stolen", 5: "queued", 6: "repeat", 7: "redirect", 8: "trap"}

// result names what becomes of a packet, jumps (TC_ACT_EXT) with where they go.
func result(n int) string {
	if s := results[n]; s != "" {
		return s
	}
	switch to := strconv.Itoa(n & (1<<28 - 1)); n >> 28 {
	case 1:
		return "jump " + to
	case 2:
		return "goto chain " + to
	}
	return strconv.Itoa(n)
}

// filtered are kinds of qdiscs that sort packets by filters.
var filtered = []string{"htb", "hfsc", "prio", "drr", "qfq", "ets", "cbq", "dsmark", "multiq", "fq_codel", "sfq", "choke", "cake"}

// filterParents are what filters may hang on in a qdisc: nothing where nobody made it, as the default ones have no handle.
func filterParents(q *snapshot.Qdisc) []uint32 {
	switch {
	case q.Kind == "clsact":
		return []uint32{tcClsactIngress, tcClsactEgress}
	case q.Kind == "ingress":
		return []uint32{tcClsactIngress}
	case slices.Contains(filtered, q.Kind):
		if h, ok := madeHandle(q); ok {
			return []uint32{h}
		}
	}
	return nil
}

// madeHandle is the handle of a qdisc that somebody made; the kernel's own have none.
func madeHandle(q *snapshot.Qdisc) (uint32, bool) {
	var major uint32
	_, err := fmt.Sscanf(q.Handle, "%x:", &major)
	return major << 16, err == nil && major != 0
}

// classful are kinds of qdiscs whose classes are made by somebody; those of others (fq_codel, sfq, cake) are flows that come and go.
var classful = []string{"htb", "hfsc", "prio", "drr", "qfq", "ets", "cbq", "dsmark", "multiq", "mqprio", "tbf", "netem"}

func hasClasses(q *snapshot.Qdisc) (uint32, bool) {
	h, ok := madeHandle(q)
	return h, ok && slices.Contains(classful, q.Kind)
}

// decodeClass decodes the body of an RTM_NEWTCLASS message.
func decodeClass(b []byte, c *snapshot.TCClass) bool {
	var q snapshot.Qdisc
	if !decodeQdisc(b, &q) {
		return false
	}
	*c = snapshot.TCClass{
		Ifindex: q.Ifindex, Kind: q.Kind, Class: q.Handle, Parent: q.Parent, Bytes: q.Bytes, Packets: q.Packets, Drops: q.Drops,
		Overlimits: q.Overlimits, Requeues: q.Requeues, Backlog: q.Backlog, QLen: q.QLen,
	}
	if leaf := nlwire.U32(b[16:]); leaf != 0 { // tcm_info
		c.Leaf = tcHandle(leaf)
	}
	return true
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
		case classAt[f.Kind] == a.Type && a.Type != 0:
			f.Class = tcHandle(nlwire.U32(a.Val))
		case f.Kind != "bpf":
		case a.Type == bpfFlags:
			f.Direct = nlwire.U32(a.Val)&bpfFlagDirect != 0
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
	for a := nlwire.Walk(options); a.Next(); {
		v := a.Val
		switch at := parmsAt[act.Kind]; {
		case a.Type == at && at != 0:
			n := int(nlwire.I32(after(v, 8))) // tc_gen: index, capab, action, refcnt, bindcnt
			if act.Kind == "police" {
				n = int(nlwire.I32(after(v, 4)))
			}
			act.Result = result(n)
			if act.Kind == "mirred" { // and what, and where
				act.To = nlwire.I32(after(v, 24))
			}
		case act.Kind != "bpf":
		case a.Type == actBPFName:
			act.ProgName = text(v)
		case a.Type == actBPFTag:
			act.ProgTag = hex.EncodeToString(v[:min(8, len(v))])
		case a.Type == actBPFID:
			act.ProgID = nlwire.U32(v)
		}
	}
	return act
}

// after is what follows the first n bytes, nothing where there are fewer.
func after(b []byte, n int) []byte { return b[min(n, len(b)):] }
