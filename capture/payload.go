package capture

import "github.com/nscope/nscope/capture/packet"

// Payload is what is done with what comes after the headers.
type Payload uint8

// What may be done.
const (
	KeepPayload Payload = iota
	// CutPayload drops it: a file is small, packets have their lengths still.
	CutPayload
	// BlankPayload makes it zeroes.
	BlankPayload
)

// Apply does it to a packet. Whatever is said or saved of it afterwards says nothing of the payload.
func (w Payload) Apply(p *packet.Packet) {
	switch w {
	case CutPayload:
		p.CutPayload()
	case BlankPayload:
		p.BlankPayload()
	}
}
