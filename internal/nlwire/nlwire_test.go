package nlwire

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
)

func TestAttrs(t *testing.T) {
	b := AppendU32(nil, 7, 0xdeadbeef)
	b = AppendAttr(b, 8, []byte("odd\x00more")) // padded
	b = AppendNested(b, 9, func(b []byte) []byte { return AppendAttr(b, 1, []byte{5}) })
	a := Walk(b)
	if !a.Next() || a.Type != 7 || U32(a.Val) != 0xdeadbeef {
		t.Errorf("%d % x", a.Type, a.Val)
	}
	if !a.Next() || a.Type != 8 || string(CStr(a.Val)) != "odd" || len(a.Val) != 8 {
		t.Errorf("%d % x", a.Type, a.Val)
	}
	if !a.Next() || a.Type != 9 {
		t.Errorf("%d % x", a.Type, a.Val)
	}
	if in := Walk(a.Val); !in.Next() || in.Type != 1 || U8(in.Val) != 5 || in.Next() {
		t.Errorf("nested: %d % x", in.Type, in.Val)
	}
	if a.Next() {
		t.Error("one too many")
	}
	if a := WalkAfter(b, len(b)+1); a.Next() {
		t.Error("a header longer than the message")
	}
}

func TestNumbersOfTooFewBytes(t *testing.T) {
	var b []byte
	if U8(b)|uint8(U16(b))|uint8(BE16(b))|uint8(U32(b))|uint8(BE32(b))|uint8(U64(b))|uint8(BE64(b)) != 0 || I32(b) != 0 || Addr(b).IsValid() {
		t.Error("something of nothing")
	}
	if I32([]byte{0xff, 0xff, 0xff, 0xff}) != -1 {
		t.Error("sign lost")
	}
}

// answer builds one message.
func answer(typ, flags uint16, seq uint32, body []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(body))
	binary.NativeEndian.PutUint32(b, uint32(headerLen+len(body)))
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], flags)
	binary.NativeEndian.PutUint32(b[8:], seq)
	return append(b, body...)
}

func errno(e syscall.Errno) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e)))
}

func TestFailure(t *testing.T) {
	echo := answer(26, 1, 7, make([]byte, 12)) // the request, as an uncapped error echoes it
	text := AppendAttr(nil, attrErrMsg, []byte("Invalid thing\x00"))
	tests := []struct {
		name string
		m    Message
		want error
		text string
	}{
		{"acknowledged", Message{Type: typeError, Data: append(errno(0), echo...)}, nil, ""},
		{"done", Message{Type: typeDone}, nil, ""},
		{"done, with a length", Message{Type: typeDone, Data: []byte{0, 0, 0, 0}}, nil, ""},
		{"refused", Message{Type: typeError, Data: append(errno(syscall.EPERM), echo...)}, syscall.EPERM, syscall.EPERM.Error()},
		{"refused in words", Message{Type: typeError, Flags: flagAckTLVs, Data: append(append(errno(syscall.EINVAL), echo...), text...)}, syscall.EINVAL, syscall.EINVAL.Error() + ": Invalid thing"},
		{"refused in words, capped", Message{Type: typeError, Flags: flagAckTLVs | flagCapped, Data: append(append(errno(syscall.EINVAL), echo[:headerLen]...), text...)}, syscall.EINVAL, syscall.EINVAL.Error() + ": Invalid thing"},
		{"dump failed in words", Message{Type: typeDone, Flags: flagAckTLVs, Data: append(errno(syscall.ENODEV), text...)}, syscall.ENODEV, syscall.ENODEV.Error() + ": Invalid thing"},
	}
	for _, tt := range tests {
		err := failure(tt.m)
		if !errors.Is(err, tt.want) || tt.want == nil != (err == nil) || err != nil && err.Error() != tt.text {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.text)
		}
	}
}

func FuzzWire(f *testing.F) {
	f.Add(append(answer(16, flagMulti, 1, AppendU32(nil, 1, 2)), answer(typeDone, flagMulti, 1, errno(0))...))
	f.Add(answer(typeError, flagAckTLVs, 1, append(errno(syscall.EINVAL), AppendAttr(nil, 1, []byte("x\x00"))...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for {
			m, _, rest, ok := next(b)
			if !ok {
				break
			}
			failure(m)
			for a := Walk(m.Data); a.Next(); {
				total += len(a.Val)
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
		_ = total
	})
}
