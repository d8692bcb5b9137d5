// Package nlwire is the netlink transport under the readers of inspect and the writers of fixtures: it builds requests, walks attributes and, on
// Linux, asks the kernel.
//
//	s, err := nlwire.Open(unix.NETLINK_ROUTE) // inside the namespace: a socket keeps its namespace
//	req := nlwire.NewRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg))
//	err = s.Do(req, func(m nlwire.Message) { … }) // from anywhere
//
// The functions on bytes are pure and accept anything: what is too short reads as zero, what is malformed ends the walk.
// They never panic and allocate nothing.
//
// Layouts: include/uapi/linux/netlink.h. Everything in a netlink header and, unless a reader says otherwise, in a
// message is in host byte order.
package nlwire
