// Package conntrack reads entries of connection tracking of one network namespace, when asked for: no snapshot holds any.
//
//	var conn *conntrack.Conn
//	err := ns.Do(func() (err error) { conn, err = conntrack.Open(); return err })
//	defer conn.Close()
//	list, err := conn.Read(conntrack.Filter{Protocol: "tcp", Ports: []uint16{80}}, 500)
//
// It asks nfnetlink's subsystem ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h). Protocol, mark and zone are
// given to the kernel to filter by; a kernel that does not know a filter ignores it, so that every entry is tested again.
// The kernel walks the whole table; what is kept is bounded by the limit.
//
// It never loads a module: where nf_conntrack_netlink is missing, [ErrNoModule] says so. Asking does not begin tracking in a
// namespace that has none.
//
// Numbers are in network byte order.
package conntrack
