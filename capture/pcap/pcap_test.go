package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

// sample writes frames to two interfaces and says what a reader must give.
func sample(t testing.TB, n int) ([]byte, []Record, []Interface) {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, Section{OS: "Linux", Application: "nscope test", Comment: "two\nlines"})
	if err != nil {
		t.Fatal(err)
	}
	ifs := []Interface{{Name: "web/eth0", Description: "netns 1, peer veth1", Link: packet.Ethernet, SnapLen: 262144, MAC: []byte{2, 0, 0, 0, 0, 1}, Filter: "tcp"}, {Name: "tun0", Link: packet.RawIP, OS: "Linux 6.18"}}
	for _, i := range ifs {
		if _, err := w.AddInterface(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Names([]Name{{netip.MustParseAddr("10.0.1.2"), "web"}, {netip.MustParseAddr("fd00::2"), "web6"}}); err != nil {
		t.Fatal(err)
	}
	var want []Record
	for i, f := range corpus.New(4).Frames(n, 20) {
		rec := Record{Nanos: 1_800_000_000_123_456_789 + int64(i)*1001, Interface: i % 2, Data: f.Data, Len: f.WireLen, Dir: Dir(i % 3)}
		if i%5 == 0 {
			rec.Comment = "dropped: no route"
		}
		if i%11 == 0 {
			rec.Drop = uint64(i)
		}
		want = append(want, rec)
		if i%7 == 0 {
			w.Append(&rec)
		} else if err := w.Write(&rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Stats(0, 1_800_000_001_000_000_000, Stats{Received: 7, Dropped: 2}); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(out.Len()) {
		t.Errorf("%d bytes counted, %d written", w.Bytes(), out.Len())
	}
	return out.Bytes(), want, ifs
}

// all reads to the end.
func all(in io.Reader) (r *Reader, out []Record, err error) {
	r, err = Open(in)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for {
		var rec Record
		if err := r.Next(&rec); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return r, out, err
		}
		rec.Data = bytes.Clone(rec.Data)
		out = append(out, rec)
	}
}

var emptyIsNil = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Interface{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}

func TestWhatIsWrittenIsRead(t *testing.T) {
	b, want, ifs := sample(t, 500)
	r, got, err := all(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, emptyIsNil); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(ifs, r.Interfaces, emptyIsNil); d != "" {
		t.Error(d)
	}
	if len(r.Names) != 2 || r.Names[1].Name != "web6" || r.Stats[0] != (Stats{Received: 7, Dropped: 2}) {
		t.Errorf("%v %v", r.Names, r.Stats)
	}
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(b)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(b)
	z.Close()
	for _, c := range []*bytes.Buffer{&gz, &zs} {
		if _, got, err := all(c); err != nil || len(got) != len(want) {
			t.Errorf("compressed: %d, %v", len(got), err)
		}
	}
	// Two sections, as cat makes them: interfaces are counted on.
	if r, got, err := all(bytes.NewReader(append(bytes.Clone(b), b...))); err != nil || len(got) != 2*len(want) || len(r.Interfaces) != 4 || got[len(want)].Interface != 2 {
		t.Errorf("two sections: %d packets, %v", len(got), err)
	}
}

// TestCutOffAnywhere: whatever was whole is read, and the end is told.
func TestCutOffAnywhere(t *testing.T) {
	_, want, _ := sample(t, 30)
	whole := map[int]int{} // by length, how many packets are whole
	var out bytes.Buffer
	w, _ := NewWriter(&out, Section{})
	w.AddInterface(Interface{Link: packet.Ethernet})
	for i := range want {
		rec := want[i]
		rec.Interface = 0
		w.Write(&rec)
		whole[out.Len()] = i + 1
	}
	b := out.Bytes()
	n := 0
	for cut := range len(b) + 1 {
		n = max(n, whole[cut])
		_, got, err := all(bytes.NewReader(b[:cut]))
		if len(got) != n {
			t.Fatalf("cut at %d: %d packets, %d are whole", cut, len(got), n)
		}
		if _, boundary := whole[cut]; boundary && err != nil {
			t.Fatalf("cut at %d, between blocks: %v", cut, err)
		} else if !boundary && cut > 200 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

// oldFormat makes a file of the older format.
func oldFormat(order binary.AppendByteOrder, nano bool, link uint32, recs []Record) []byte {
	magic := uint32(0xa1b2c3d4)
	unit := int64(1000)
	if nano {
		magic, unit = 0xa1b23c4d, 1
	}
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	for _, v := range []uint32{0, 0, 65535, link} {
		b = order.AppendUint32(b, v)
	}
	for _, r := range recs {
		for _, v := range []uint32{uint32(r.Nanos / 1e9), uint32(r.Nanos % 1e9 / unit), uint32(len(r.Data)), uint32(r.Len)} {
			b = order.AppendUint32(b, v)
		}
		b = append(b, r.Data...)
	}
	return b
}

func TestPcap(t *testing.T) {
	var want []Record
	for i, f := range corpus.New(5).Frames(50, 20) {
		want = append(want, Record{Nanos: 1_700_000_000_000_001_000 + int64(i)*1000, Data: f.Data, Len: f.WireLen})
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, nano := range []bool{false, true} {
			r, got, err := all(bytes.NewReader(oldFormat(order, nano, 1, want)))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, emptyIsNil); d != "" || r.Interfaces[0].Link != packet.Ethernet {
				t.Errorf("%v, nanoseconds %v: %s", order, nano, d)
			}
		}
	}
}

func TestHostileLengths(t *testing.T) {
	b, _, _ := sample(t, 3)
	huge := append(bytes.Clone(b), 6, 0, 0, 0, 0xfc, 0xff, 0xff, 0x7f)
	huge = append(huge, make([]byte, 40)...)
	if _, _, err := all(bytes.NewReader(huge)); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	p := oldFormat(binary.LittleEndian, false, 1, nil)
	p = append(p, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0)
	if _, _, err := all(bytes.NewReader(p)); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if n := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			all(bytes.NewReader(huge))
		}
	}).AllocedBytesPerOp(); n > 2<<20 {
		t.Errorf("%d bytes allocated for a file of %d", n, len(huge))
	}
	for _, s := range []string{"", "x", "GIF89a, no capture", "\x0a\x0d\x0d\x0a"} {
		if _, _, err := all(bytes.NewReader([]byte(s))); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, recs, _ := sample(f, 20)
	f.Add(b)
	f.Add(oldFormat(binary.BigEndian, true, 101, recs))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, got, err := all(bytes.NewReader(b))
		if err != nil && r == nil {
			return
		}
		for _, rec := range got {
			if rec.Interface < 0 || rec.Interface >= len(r.Interfaces) || rec.Len < len(rec.Data) {
				t.Fatalf("%+v", rec)
			}
		}
	})
}
