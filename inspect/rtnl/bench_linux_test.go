package rtnl

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// small makes a namespace as a container has it: lo and one end of a veth with an address and a default route.
func small(tb testing.TB) testNS {
	out, in := newNS(tb), newNS(tb)
	out.ip("link add v0 type veth peer name eth0 netns " + in.path() + "\nlink set v0 up")
	in.ip("link set lo up\nlink set eth0 up\naddr add 10.1.1.2/24 dev eth0\nroute add default via 10.1.1.1")
	return in
}

// BenchmarkRead compares the readers with a loop of the same dumps that nothing decodes.
func BenchmarkRead(b *testing.B) {
	ns := small(b)
	c := ns.open()
	gap := func(reader string, err error, needs string) { b.Errorf("%s: %v", reader, err) }
	raw := [][]byte{dumpLinks, dumpAddrs, dumpRoutes, dumpRules, dumpNeighbors, dumpFDB}
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			for _, r := range raw {
				if err := c.route.Do(append([]byte(nil), r...), func(nlwire.Message) {}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("topology", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.ReadTopology(new(snapshot.Namespace), gap)
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Read(new(snapshot.Namespace), gap)
		}
	})
	b.Run("raw+open", func(b *testing.B) {
		ns.Do(func() error {
			for b.Loop() {
				s, err := nlwire.Open(unix.NETLINK_ROUTE)
				if err != nil {
					return err
				}
				for _, r := range raw {
					if err := s.Do(append([]byte(nil), r...), func(nlwire.Message) {}); err != nil {
						return err
					}
				}
				s.Close()
			}
			return nil
		})
	})
	b.Run("all+open", func(b *testing.B) {
		ns.Do(func() error {
			for b.Loop() {
				c, err := Open()
				if err != nil {
					return err
				}
				c.Read(new(snapshot.Namespace), gap)
				c.Close()
			}
			return nil
		})
	})
	b.Run("topology+open", func(b *testing.B) {
		ns.Do(func() error {
			for b.Loop() {
				c, err := OpenTopology()
				if err != nil {
					return err
				}
				c.ReadTopology(new(snapshot.Namespace), gap)
				c.Close()
			}
			return nil
		})
	})
}

// BenchmarkBridge reads a host's namespace: one bridge with 200 ports.
func BenchmarkBridge(b *testing.B) {
	ns, far := newNS(b), newNS(b)
	ns.ip("link add br0 type bridge\nlink set br0 up")
	for i := range 200 {
		n := strconv.Itoa(i)
		ns.ip("link add v" + n + " type veth peer name e" + n + " netns " + far.path() + "\nlink set v" + n + " master br0 up")
	}
	c := ns.open()
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			for _, r := range [][]byte{dumpLinks, dumpAddrs, dumpRoutes, dumpRules, dumpNeighbors, dumpFDB} {
				if err := c.route.Do(append([]byte(nil), r...), func(nlwire.Message) {}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	gap := func(reader string, err error, needs string) { b.Errorf("%s: %v", reader, err) }
	b.Run("topology", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.ReadTopology(new(snapshot.Namespace), gap)
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Read(new(snapshot.Namespace), gap)
		}
	})
}
