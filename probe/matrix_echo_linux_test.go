package probe

import (
	"encoding/binary"
	"testing"
)

func FuzzParseEcho(f *testing.F) {
	token := []byte("12345678")
	b := append([]byte{icmpEchoReply, 0, 0, 0, 0x12, 0x34, 0, 7}, token...)
	ip := append([]byte{0x45, 19: 0}, b...)
	f.Add(b, false, false, false)
	f.Add(ip, false, true, false)
	f.Add([]byte{icmpEcho, 0, 0, 0, 0x12, 0x34, 0, 7}, false, true, true)
	f.Add(append([]byte{0x4f}, ip[1:]...), false, true, false)
	f.Fuzz(func(t *testing.T, b []byte, v6, raw, failed bool) {
		seq, ok := parseEcho(b, v6, raw, 0x1234, failed, token)
		if ok && (seq < 0 || seq > 0xffff) {
			t.Errorf("sequence number %d", seq)
		}
	})
	if seq, ok := parseEcho(ip, false, true, 0x1234, false, token); !ok || seq != 7 {
		f.Errorf("%d, %v", seq, ok)
	}
	other := append([]byte(nil), ip...)
	binary.BigEndian.PutUint16(other[24:], 0x1235)
	if _, ok := parseEcho(other, false, true, 0x1234, false, token); ok {
		f.Error("somebody else's reply is taken for ours")
	}
}
