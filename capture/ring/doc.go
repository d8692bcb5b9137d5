// Package ring reads packets by AF_PACKET's memory mapped rings (TPACKET_V3), without libpcap and without copying.
//
//	h.Do(func() (err error) { r, err = ring.Open(0, ring.Options{}); return err }) // inside the namespace; 0: all its links
//	p, err := ring.NewPoller()
//	p.Add(r)                                  // hundreds of rings, one thread
//	p.Wait(ctx, func(r *ring.Ring, f *ring.Frame) { … }, gone)
//
// A ring keeps its namespace alive: whoever captures where containers come and go closes it when they go. A frame's bytes lie in the
// ring and are valid until the callback returns. 802.1Q tags that the kernel (or the NIC) took off are put back.
//
// Layouts: include/uapi/linux/if_packet.h; Documentation/networking/packet_mmap.rst.
package ring
