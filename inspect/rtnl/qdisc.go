package rtnl

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

const (
	tcmsgLen = 20 // struct tcmsg (rtnetlink.h)

	tcaKind   = 1
	tcaStats  = 3 // struct tc_stats, of kernels before TCA_STATS2
	tcaStats2 = 7

	// Inside TCA_STATS2 (gen_stats.h).
	statsBasic = 1
	statsQueue = 3
	statsPkt64 = 8

	tcRoot    = 0xffffffff
	tcIngress = 0xfffffff1
)

// tcHandle prints a handle in full: hexadecimal major and minor number.
func tcHandle(h uint32) string {
	return strconv.FormatUint(uint64(h>>16), 16) + ":" + strconv.FormatUint(uint64(h&0xffff), 16)
}

// tcParent prints a parent, empty for none.
func tcParent(h uint32) string {
	switch h {
	case tcRoot:
		return "root"
	case tcIngress:
		return "ingress"
	case 0:
		return ""
	}
	return tcHandle(h)
}

// decodeQdisc decodes the body of an RTM_NEWQDISC message.
func decodeQdisc(b []byte, q *snapshot.Qdisc) bool {
	if len(b) < tcmsgLen {
		return false
	}
	*q = snapshot.Qdisc{Ifindex: nlwire.I32(b[4:]), Parent: tcParent(nlwire.U32(b[12:])), Handle: "0:0"}
	if h := nlwire.U32(b[8:]); h != 0 {
		q.Handle = tcHandle(h)
	}
	var stats2 bool
	for a := nlwire.WalkAfter(b, tcmsgLen); a.Next(); {
		switch a.Type {
		case tcaKind:
			q.Kind = text(a.Val)
		case tcaStats2:
			stats2 = true
			decodeStats2(a.Val, q)
		case tcaStats:
			if v := a.Val; !stats2 && len(v) >= 36 {
				q.Bytes, q.Packets = nlwire.U64(v), uint64(nlwire.U32(v[8:]))
				q.Drops, q.Overlimits = uint64(nlwire.U32(v[12:])), uint64(nlwire.U32(v[16:]))
				q.QLen, q.Backlog = uint64(nlwire.U32(v[28:])), uint64(nlwire.U32(v[32:]))
			}
		}
	}
	return true
}

func decodeStats2(b []byte, q *snapshot.Qdisc) {
	for a := nlwire.Walk(b); a.Next(); {
		v := a.Val
		switch {
		case a.Type == statsBasic && len(v) >= 12: // struct gnet_stats_basic
			q.Bytes = nlwire.U64(v)
			q.Packets = max(q.Packets, uint64(nlwire.U32(v[8:])))
		case a.Type == statsPkt64 && len(v) >= 8: // the same count, where 32 bits are too few
			q.Packets = nlwire.U64(v)
		case a.Type == statsQueue && len(v) >= 20: // struct gnet_stats_queue
			q.QLen, q.Backlog = uint64(nlwire.U32(v)), uint64(nlwire.U32(v[4:]))
			q.Drops, q.Requeues = uint64(nlwire.U32(v[8:])), uint64(nlwire.U32(v[12:]))
			q.Overlimits = uint64(nlwire.U32(v[16:]))
		}
	}
}
