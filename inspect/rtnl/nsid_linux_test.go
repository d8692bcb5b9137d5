package rtnl

import (
	"errors"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestNSIDs makes a chain: a knows b, b knows c and a, and only nsids of b lead from a to c.
func TestNSIDs(t *testing.T) {
	a, b, c := newNS(t), newNS(t), newNS(t)
	a.ip("link add ab type veth peer name ba netns " + b.path())
	b.ip("link add bc type veth peer name cb netns " + c.path() + "\nlink add in0 type veth peer name in1\naddr add 10.0.0.1/24 dev ba")
	conn := a.open()

	nsids := a.read().NSIDs
	if len(nsids) != 1 {
		t.Fatalf("nsids of a: %+v", nsids)
	}
	toB, err := conn.NSIDOf(b.FD())
	if err != nil || toB != nsids[0].NSID {
		t.Fatalf("NSIDOf(b) = %d, %v, want %d", toB, err, nsids[0].NSID)
	}
	before := GetNSIDCount()
	if n, err := conn.NSIDOf(c.FD()); !errors.Is(err, ErrNoNSID) {
		t.Errorf("NSIDOf(c) = %d, %v", n, err)
	}
	if GetNSIDCount() != before+1 {
		t.Error("a request was not counted")
	}
	if _, err := conn.NSIDOf(0); err == nil || errors.Is(err, ErrNoNSID) {
		t.Errorf("NSIDOf(not a namespace): %v", err)
	}

	// The links of b, seen from a, are those that b sees, but for the numbering of their peers.
	links, err := conn.LinksIn(toB)
	if err != nil {
		t.Fatal(err)
	}
	own := b.read()
	var ba, bc, in0 *snapshot.Link
	for i := range links {
		l, o := &links[i], own.Links[i]
		switch l.Name {
		case "ba":
			ba = l
		case "bc":
			bc = l
		case "in0":
			in0 = l
		}
		cut := *l
		cut.Peer, o.Peer = nil, nil
		cut.Stats, o.Stats = snapshot.LinkStats{}, snapshot.LinkStats{}
		if d := gocmp.Diff(o, cut, cmpAddrs, gocmp.Comparer(func(a, b snapshot.Addr) bool { return a.Prefix == b.Prefix })); d != "" {
			t.Errorf("%s (-from b +from a):\n%s", l.Name, d)
		}
	}
	if in0.Peer == nil || in0.Peer.NSID != nil {
		t.Errorf("a pair beside the link: %+v", in0.Peer)
	}
	if bc.Peer == nil || bc.Peer.NSID == nil {
		t.Fatalf("bc: %+v", bc.Peer)
	}
	// The answer has made an id for c in a, by which more can be asked.
	toC := *bc.Peer.NSID
	if n, err := conn.NSIDOf(c.FD()); err != nil || n != toC {
		t.Errorf("c is %d, %v; bc's peer says %d", n, err, toC)
	}
	if self, err := conn.NSIDOf(a.FD()); err != nil || ba.Peer.NSID == nil || *ba.Peer.NSID != self {
		t.Errorf("ba leads back to a (nsid %d here, %v): %+v", self, err, ba.Peer)
	}

	one, err := conn.LinkIn(toB, bc.Index)
	if err != nil || one.Name != "bc" || *one.Peer.NSID != toC {
		t.Errorf("LinkIn: %+v, %v", one, err)
	}
	if _, err := conn.LinkIn(toB, 4711); !errors.Is(err, unix.ENODEV) {
		t.Errorf("LinkIn of none: %v", err)
	}
	if _, err := conn.LinksIn(4711); err == nil {
		t.Error("LinksIn of an nsid that is not")
	}

	// b's own number for c, by both ways.
	want, err := b.open().NSIDOf(c.FD())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conn.NSIDIn(toB, toC); err != nil || n != want {
		t.Errorf("NSIDIn = %d, %v, want %d", n, err, want)
	}
	all, err := conn.NSIDsIn(toB)
	found := false
	for _, tr := range all {
		found = found || tr == Translation{There: want, Here: toC}
	}
	if err != nil || !found {
		t.Errorf("NSIDsIn = %v, %v, want one {%d %d}", all, err, want, toC)
	}
}

func TestMovedLinks(t *testing.T) {
	ns, far := scene(t)
	here, there := ns.read(), far.read()
	toFar, err := ns.open().NSIDOf(far.FD())
	if err != nil {
		t.Fatal(err)
	}
	toNS, err := far.open().NSIDOf(ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	peer := func(l *snapshot.Link, index int, nsid *int) {
		t.Helper()
		if d := gocmp.Diff(&snapshot.Peer{Index: index, NSID: nsid}, l.Peer); d != "" {
			t.Errorf("%s (-want +got):\n%s", l.Name, d)
		}
	}
	v0, eth0 := link(t, here, "v0"), link(t, there, "eth0")
	peer(v0, eth0.Index, &toFar)
	peer(eth0, v0.Index, &toNS)
	w0, w1 := link(t, here, "w0"), link(t, here, "w1")
	peer(w0, w1.Index, nil)
	peer(w1, w0.Index, nil)
	peer(link(t, here, "mv0"), w1.Index, nil)
	peer(link(t, there, "mv2"), w1.Index, &toNS)
	vxf := link(t, there, "vxf")
	if vxf.Peer == nil || vxf.Peer.NSID == nil || *vxf.Peer.NSID != toNS {
		t.Errorf("a moved vxlan's peer: %+v, want the namespace %d", vxf.Peer, toNS)
	}
	if p := link(t, here, "lo").Peer; p != nil {
		t.Errorf("lo has a peer: %+v", p)
	}
}
