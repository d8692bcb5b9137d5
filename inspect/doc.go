// Package inspect reads a host into a snapshot: it finds the network namespaces, reads each from inside, asks the
// engines who owns them, and proves which namespace each link's other end is in.
//
//	snap, err := inspect.Collect(ctx, inspect.WithTimeout(time.Second))
//
// It changes nothing on the host. What cannot be read becomes a [snapshot.Gap]; Collect fails only where there is
// nothing to show at all. The work is split over subpackages (netns, rtnl, sockdiag, procnet, engine); this one runs
// them and joins what they found.
package inspect
