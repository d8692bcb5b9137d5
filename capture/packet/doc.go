// Package packet finds the headers of a captured frame: link layer, IP, transport, and the same again inside tunnels.
//
//	var d packet.Decoder            // which UDP ports are tunnels
//	var p packet.Packet             // used again for every frame: nothing is allocated
//	d.Decode(&p, data, wireLen, packet.Ethernet)
//	for i := range p.N { h := &p.Heads[i]; … }   // Heads[0] is the outermost
//	in := p.Inner()                 // the innermost headers: what the containers said
//
// It is a walk over offsets, not a tree of layers: a field is read from the frame when it is asked for. What is cut off by
// the snap length is [Truncated], what contradicts itself is [Malformed]; both keep what was found before. It never
// panics, whatever the bytes, and retains no reference but Packet.Data.
//
// Layouts: IEEE 802.3, 802.1Q, RFC 826, 791, 8200, 4302, 4303, 9293, 768, 9260, 792, 4443, 7348 (VXLAN), draft-smith-vxlan-group-policy,
// draft-ietf-nvo3-vxlan-gpe, 8926 (Geneve), 2784 and 2890 (GRE), 2003 (IPIP), 4213 (6in4); flannel's backend/udp/proxy_amd64.c.
package packet
