// Package filter is tcpdump's filter language (pcap-filter(7)) and what goes beyond it: what is inside tunnels, and names.
//
//	f, err := filter.Parse("tcp port 80 and vni 4097", names) // *filter.Error has the place, for a caret
//	if f.Match(&pkt, filter.Meta{Dir: filter.In}) { … }
//	prog := f.Prefilter()                                     // for the kernel: lets through at least what matches
//
// A filter means what libpcap makes of the same words, byte for byte: the tests compare with the program that
// `tcpdump -ddd` prints. That includes its ways: "and" and "or" bind alike, from left to right; "port" looks at IPv6 without
// extension headers; "tcp[13]" is IPv4's; "vlan" shifts what comes after it, also behind a parenthesis; a load beyond the
// end of what was captured ends the filter with no match, also below a "not". What cannot be done so is an error, never
// something similar.
//
// Beyond it:
//
//	inner …        what follows, to the end of the parenthesis, is asked of the innermost headers (of a packet that is in no
//	               tunnel these are its only ones)
//	outer …        back to the outermost
//	vni N          in a tunnel with this VXLAN or Geneve VNI
//	encap TYPE     in a tunnel: vxlan, flannel-udp, geneve, gre, ipip, esp
//	container NAME sent or received by it: its addresses, in the innermost headers, or captured inside it
//	service NAME   its virtual addresses or its members', likewise
//	dir in|out     received or sent by the interface that it was captured on
package filter
