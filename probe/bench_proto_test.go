package probe

import (
	"bytes"
	"testing"
)

func FuzzBenchMessage(f *testing.F) {
	var b bytes.Buffer
	b.WriteString(benchHello)
	writeMsg(&b, benchMsg{Do: "start", Proto: "udp", Streams: 1, MS: 1000, Size: 1472})
	f.Add(b.Bytes())
	f.Add([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
	f.Add([]byte(benchHello + "\xff\xff\xff\xff"))
	f.Add([]byte(benchHello + "\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if readHello(r) != nil {
			return
		}
		m, err := readMsg(r)
		if err != nil || m.check() != nil {
			return
		}
		if m.Streams < 1 || m.Streams > benchStreams || m.MS < 1 || m.MS > benchLongest.Milliseconds() {
			t.Errorf("%+v", m)
		}
	})
}

func FuzzDatagram(f *testing.F) {
	b := make([]byte, benchHeader)
	datagram{1, 2, 3}.put(b)
	f.Add(b)
	f.Add(b[:benchHeader-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		var a arrivals
		if d, ok := parseDatagram(b); ok {
			a.add(d, len(b), 5, true)
			c := make([]byte, benchHeader)
			if d.put(c); !bytes.Equal(c, b[:benchHeader]) {
				t.Errorf("%+v", d)
			}
		}
	})
}

// TestArrivals is about loss, order and jitter where they are known.
func TestArrivals(t *testing.T) {
	var a arrivals
	for i, seq := range []uint64{0, 1, 3, 2, 5} { // 4 is lost, 2 is late
		at := int64(i) * 1000
		if seq == 5 {
			at += 160 // its way was longer: |D| = 160, J = 160/16
		}
		a.add(datagram{seq: seq, clock: int64(i) * 1000}, 100, at, true)
	}
	if a.n != 5 || a.bytes != 500 || a.reordered != 1 || a.highest != 5 || a.jitter != 10 {
		t.Errorf("%+v", a)
	}
}
