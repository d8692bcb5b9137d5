package nlwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Message is one message of an answer.
type Message struct {
	Type  uint16
	Flags uint16
	// Data is what follows the netlink header. It is valid until the callback returns: the buffer is used again.
	Data []byte
}

// ErrInterrupted tells that what was dumped changed under the dump (NLM_F_DUMP_INTR): the answer may lack entries or
// have some twice.
var ErrInterrupted = errors.New("dump interrupted by a change")

// ErrTruncated tells that a message was longer than the receive buffer.
var ErrTruncated = errors.New("netlink message longer than the buffer")

// Error is the kernel's refusal of a request.
type Error struct {
	Errno syscall.Errno
	// Text is what the kernel said beyond the number (NLMSGERR_ATTR_MSG), often empty.
	Text string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%v: %s", e.Errno, e.Text)
}

// Unwrap returns the error number, for errors.Is(err, unix.EPERM).
func (e *Error) Unwrap() error { return e.Errno }

// Types and flags of include/uapi/linux/netlink.h.
const (
	typeNoop  = 1
	typeError = 2
	typeDone  = 3

	flagMulti    = 0x2
	flagDumpIntr = 0x10
	flagCapped   = 0x100
	flagAckTLVs  = 0x200

	attrErrMsg = 1 // NLMSGERR_ATTR_MSG
)

// next cuts the first message off b. ok is false at the end, and where a length is impossible.
func next(b []byte) (m Message, seq uint32, rest []byte, ok bool) {
	if len(b) < headerLen {
		return m, 0, nil, false
	}
	n := binary.NativeEndian.Uint32(b)
	if n < headerLen || uint64(n) > uint64(len(b)) {
		return m, 0, nil, false
	}
	m.Type = binary.NativeEndian.Uint16(b[4:])
	m.Flags = binary.NativeEndian.Uint16(b[6:])
	seq = binary.NativeEndian.Uint32(b[8:])
	m.Data = b[headerLen:n:n]
	return m, seq, b[min(align(int(n)), len(b)):], true
}

// failure reads the error of an NLMSG_ERROR or NLMSG_DONE message, nil for success.
func failure(m Message) error {
	if len(m.Data) < 4 {
		return nil // an NLMSG_DONE without payload
	}
	errno := int32(binary.NativeEndian.Uint32(m.Data))
	if errno >= 0 {
		return nil
	}
	e := &Error{Errno: syscall.Errno(-errno)}
	if m.Flags&flagAckTLVs != 0 {
		skip := 4
		if m.Type == typeError {
			// The request's header is echoed, with the request itself unless the socket asked for it not.
			skip += headerLen
			if m.Flags&flagCapped == 0 && len(m.Data) >= 8 {
				skip = 4 + align(int(min(binary.NativeEndian.Uint32(m.Data[4:]), 1<<16)))
			}
		}
		for a := WalkAfter(m.Data, skip); a.Next(); {
			if a.Type == attrErrMsg {
				e.Text = string(CStr(a.Val))
			}
		}
	}
	return e
}
