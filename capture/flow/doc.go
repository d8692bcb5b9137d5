// Package flow aggregates captured packets: conversations, pairs of who talks with whom, and what is wrong with them.
//
//	var t flow.Table                 // at most t.Max conversations, whatever comes
//	t.Add(event)                     // one call a packet, from one goroutine
//	r := t.Report(false)             // flow.Report: JSON, or tables (r.Flows, r.Pairs)
//
// A conversation is both directions between two addresses and ports, of the innermost headers, in one network (VNI, VLAN), as it was seen at one
// interface. Where several interfaces saw the same one, the report has that which saw most of it, and says at how many it was seen: a
// packet that crosses five interfaces is one packet.
//
// A segment is called retransmitted as Wireshark's TCP analysis does (epan/dissectors/packet-tcp.c, tcp_analyze_sequence_number: retransmission,
// fast and spurious retransmission, and not what is out of order or keeps alive): the tests compare with tshark. The handshake's time is
// from SYN to the opener's ACK (tcp.analysis.initial_rtt), which is the same wherever it is captured; DNS and echo latencies are from question to
// answer at the interface.
//
// It is pure, and never guesses a protocol from a port.
package flow
