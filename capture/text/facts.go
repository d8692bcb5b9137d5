package text

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/capture/packet"
)

// Name is the name of an address in the innermost headers, as seen from where the packet was captured; "" for none.
func (e *Event) Name(a netip.Addr) string { return e.name(a) }

// ProtoKey is what JSON calls the transport of an IP packet: "tcp", or its number.
func ProtoKey(h *packet.Head) string {
	if k := protoKeys[h.Proto]; k != "" {
		return k
	}
	return strconv.Itoa(int(h.Proto))
}

// DNS tells whether a UDP payload is a whole DNS message with one question of the Internet's class and nothing else, and of it the id, whether it
// is a response, and the response's code.
func DNS(p []byte) (id uint16, response bool, rcode int, ok bool) {
	if len(dnsMessage(nil, p)) == 0 {
		return 0, false, 0, false
	}
	return binary.BigEndian.Uint16(p), p[2]&0x80 != 0, int(p[3] & 15), true
}

// NoSuchName is DNS' code for a name that is not.
const NoSuchName = dns.RcodeNameError
