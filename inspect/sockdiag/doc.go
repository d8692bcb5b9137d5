// Package sockdiag reads the TCP, UDP and raw sockets of one network namespace, IPv4 and IPv6, listening and connected.
//
//	var conn *sockdiag.Conn
//	err := ns.Do(func() (err error) { conn, err = sockdiag.Open(); return err })
//	defer conn.Close()
//	socks, truncated, err := conn.Read(10000) // from any thread: a socket keeps its namespace
//
// It asks NETLINK_SOCK_DIAG (include/uapi/linux/inet_diag.h). Each such dump walks the kernel's whole hash table, whatever
// the namespace holds, which is why Open looks at the namespace's socket counts first: what it has none of is not asked.
//
// It never loads a module: the kernel would load tcp_diag, udp_diag or raw_diag for the asking. Where one of them is
// missing, /proc/thread-self/net/tcp and its like are read instead; these lack the device that a
// socket is bound to, its mark, and whether it is IPv6 only.
package sockdiag
