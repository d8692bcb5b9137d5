package nlwire

import (
	"encoding/binary"
	"fmt"
)

// nlmAck is NLM_F_ACK.
const nlmAck = 4

// Batch sends requests made by [NewRequest] in one datagram, as nfnetlink wants its transactions: the first begins it, the
// last ends it. Those between are acknowledged. It returns the first refusal, with the place of the request that it is for.
func (s *Socket) Batch(reqs ...[]byte) error {
	if len(reqs) < 3 {
		return nil // nothing between begin and end
	}
	var all []byte
	first := s.seq + 1
	for i, r := range reqs {
		s.seq++
		binary.NativeEndian.PutUint32(r, uint32(len(r)))
		binary.NativeEndian.PutUint32(r[8:], s.seq)
		if i > 0 && i < len(reqs)-1 {
			binary.NativeEndian.PutUint16(r[6:], binary.NativeEndian.Uint16(r[6:])|nlmAck)
		}
		all = append(all, pad(r)...)
	}
	if err := s.send(all); err != nil {
		return err
	}
	buf := buffers.Get().(*[bufLen]byte)
	defer buffers.Put(buf)
	var refused error
	for {
		n, err := s.receive(buf[:])
		if err != nil {
			return err
		}
		if n > len(buf) {
			return ErrTruncated
		}
		b := buf[:n]
		for {
			m, seq, rest, ok := next(b)
			if !ok {
				break
			}
			b = rest
			if m.Type != typeError || seq-first >= uint32(len(reqs)) {
				continue
			}
			if err := failure(m); err != nil && refused == nil {
				refused = fmt.Errorf("request %d: %w", seq-first, err)
			}
			// Of a transaction that is refused as a whole nothing else is said.
			if seq == first || seq == s.seq-1 {
				return refused
			}
		}
	}
}
