package rtnl

import "github.com/nscope/nscope/internal/nlwire"

// Attributes of RTM_NEWNSID (net_namespace.h).
const (
	netnsaNSID        = 1
	netnsaFD          = 3
	netnsaTargetNSID  = 4
	netnsaCurrentNSID = 5

	rtgenmsgLen = 4 // struct rtgenmsg, padded

	notAssigned = -1 // NETNSA_NSID_NOT_ASSIGNED
)

// decodeNSID decodes the body of an RTM_NEWNSID message: the id that the namespace has where it was looked for, and, where
// that was another than the socket's, the one that it has in the socket's.
func decodeNSID(b []byte) (nsid, current int, ok bool) {
	nsid, current = notAssigned, notAssigned
	for a := nlwire.WalkAfter(b, rtgenmsgLen); a.Next(); {
		switch {
		case len(a.Val) < 4:
		case a.Type == netnsaNSID:
			nsid, ok = nlwire.I32(a.Val), true
		case a.Type == netnsaCurrentNSID:
			current = nlwire.I32(a.Val)
		}
	}
	return nsid, current, ok
}
