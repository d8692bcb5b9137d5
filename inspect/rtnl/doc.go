// Package rtnl reads what rtnetlink and xfrm know of one network namespace into the data model: links of every kind with
// the attributes of their kind, addresses, routes of all tables, policy rules, neighbours, forwarding databases, nsids,
// queueing disciplines, bridge VLANs, IPsec states and policies (never their keys).
//
//	var conn *rtnl.Conn
//	err := ns.Do(func() (err error) { conn, err = rtnl.Open(); return err })
//	defer conn.Close()
//	conn.Read(&namespace, gap) // from any thread: a socket keeps its namespace
//
// It asks the kernel itself and decodes every message itself, in one pass: no library gives all of a bridge port's, a
// vxlan's or a nexthop's attributes, and at a thousand namespaces decoding twice is what costs most. The decoders are
// pure functions from bytes to the model, so they run and are tested on any system.
//
// It changes nothing: no request but dumps and gets, no module loaded (a kernel whose xfrm_user is a module that is not
// loaded holds no IPsec state that could be read). Layouts and numbers come from include/uapi/linux of Linux 6.18:
// rtnetlink.h, if_link.h, if_addr.h, fib_rules.h, neighbour.h, net_namespace.h, pkt_sched.h, gen_stats.h, xfrm.h.
package rtnl
