package rtnl

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// ReadTraffic fills what traffic control has: qdiscs, classes, filters with their actions.
func (c *Conn) ReadTraffic(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	var err error
	ns.Qdiscs, err = dump(c.route, dumpQdiscs, unix.RTM_NEWQDISC, 2, decodeQdisc)
	sortQdiscs(ns.Qdiscs)
	if err != nil {
		gap("qdiscs", &Error{"qdiscs", err}, needs(err))
	}
	if err := c.classes(ns); err != nil {
		gap("classes", &Error{"classes", err}, needs(err))
	}
	if err := c.filters(ns); err != nil {
		gap("filters", &Error{"filters", err}, needs(err))
	}
}

// tcRequest asks for what hangs on parent of one link.
func tcRequest(typ uint16, ifindex int, parent uint32) []byte {
	var head [tcmsgLen]byte
	binary.NativeEndian.PutUint32(head[4:], uint32(ifindex))
	binary.NativeEndian.PutUint32(head[12:], parent)
	return nlwire.NewRequest(typ, unix.NLM_F_DUMP, head[:])
}

// classes dumps the classes of those qdiscs that share out bandwidth by them.
func (c *Conn) classes(ns *snapshot.Namespace) error {
	ns.Classes = []snapshot.TCClass{}
	for i := range ns.Qdiscs {
		q := &ns.Qdiscs[i]
		handle, ok := hasClasses(q)
		if !ok {
			continue
		}
		list, err := dump(c.route, tcRequest(unix.RTM_GETTCLASS, q.Ifindex, handle), unix.RTM_NEWTCLASS, 0, decodeClass)
		ns.Classes = append(ns.Classes, list...)
		if err != nil {
			return err
		}
	}
	return nil
}

// filters dumps the filters of those qdiscs that can have some: none is asked for where only the kernel's own are.
func (c *Conn) filters(ns *snapshot.Namespace) error {
	ns.Filters = []snapshot.TCFilter{}
	for i := range ns.Qdiscs {
		for _, parent := range filterParents(&ns.Qdiscs[i]) {
			list, err := dump(c.route, tcRequest(unix.RTM_GETTFILTER, ns.Qdiscs[i].Ifindex, parent), unix.RTM_NEWTFILTER, 0, decodeFilter)
			for j := range list {
				list[j].Parent = filterParent(parent)
			}
			ns.Filters = append(ns.Filters, list...)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
