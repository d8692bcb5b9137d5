// Package ipvs reads the load balancer of one network namespace, what ipvsadm -L prints, and on demand its connections, as
// ipvsadm -Lc does.
//
//	err := ns.Do(func() (err error) { table, err = ipvs.Read(); return err })
//
// It asks the generic netlink family "IPVS" (include/uapi/linux/ip_vs.h). Asking for a family by name loads its module: only
// where /proc/thread-self/net/ip_vs exists is it asked, and only where that file lists a service; a namespace without any
// costs one file of a hundred bytes. Nothing is ever changed, loaded or counted by reading.
//
// Numbers are in host byte order, but addresses, ports and the netmask of IPv4, which are in network byte order.
package ipvs
