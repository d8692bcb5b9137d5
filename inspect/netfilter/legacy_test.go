package netfilter

import (
	"encoding/binary"
	"testing"
)

// blob makes a table with one built-in chain (INPUT, policy ACCEPT) and one that was made, which it jumps to.
func blob(fam *legacyFamily) (info legacyInfo, b []byte) {
	entry := func(target string, data []byte) {
		e := make([]byte, fam.size+xtRecordHead+(len(data)+7)&^7)
		binary.NativeEndian.PutUint16(e[fam.target:], uint16(fam.size))
		binary.NativeEndian.PutUint16(e[fam.next:], uint16(len(e)))
		binary.NativeEndian.PutUint16(e[fam.size:], uint16(len(e)-fam.size))
		copy(e[fam.size+2:], target)
		copy(e[fam.size+xtRecordHead:], data)
		b = append(b, e...)
	}
	verdict := func(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(int32(v))) }
	std, head := std(fam), fam.size+64
	entry("", verdict(2*std+head)) // to the first rule of the chain that was made
	entry("", verdict(-2))
	name := make([]byte, xtErrorName)
	copy(name, "MADE")
	entry("ERROR", name)
	entry("", verdict(-1))
	entry("", verdict(-5))
	copy(name, "ERROR")
	entry("ERROR", name)
	info = legacyInfo{hooks: 1 << 1, count: 6, len: uint32(len(b))}
	info.underflow[1] = uint32(std)
	return info, b
}

func std(fam *legacyFamily) int { return fam.size + 40 }

func TestLegacyBlob(t *testing.T) {
	for _, fam := range []*legacyFamily{legacy4, legacy6} {
		info, b := blob(fam)
		tb, err := decodeLegacy(fam, "filter", info, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(tb.Chains) != 2 || tb.Chains[0].Policy != "accept" || tb.Chains[1].Name != "MADE" || tb.Chains[1].Policy != "" {
			t.Fatalf("%+v", tb.Chains)
		}
		jump, drop := tb.Chains[0].Rules, tb.Chains[1].Rules
		if len(jump) != 1 || len(drop) != 1 || jump[0].Exprs[1].Verdict.Chain != "MADE" || drop[0].Exprs[1].Verdict.Kind != "drop" {
			t.Fatalf("%+v", tb.Chains)
		}
		for n := range len(b) { // one cut short is no table
			if info.len = uint32(n); n == 2*std(fam)+fam.size+64 {
				continue // the head of a chain that was made, at the end, is the table's
			}
			if _, err := decodeLegacy(fam, "filter", info, b[:n]); err == nil {
				t.Fatalf("%d of %d bytes are a table", n, len(b))
			}
		}
	}
}

// FuzzLegacy: no table, whatever its bytes, stops the decoder.
func FuzzLegacy(f *testing.F) {
	for _, fam := range []*legacyFamily{legacy4, legacy6} {
		info, b := blob(fam)
		f.Add(fam == legacy6, info.hooks, info.entry[1], info.underflow[1], b)
	}
	f.Fuzz(func(t *testing.T, v6 bool, hooks, entry, underflow uint32, b []byte) {
		fam := legacy4
		if v6 {
			fam = legacy6
		}
		info := legacyInfo{hooks: hooks, len: uint32(len(b))}
		info.entry[1], info.underflow[1] = entry, underflow
		tb, err := decodeLegacy(fam, "filter", info, b)
		if err != nil {
			return
		}
		rules := 0
		for _, c := range tb.Chains {
			rules += len(c.Rules)
		}
		if rules > len(b)/fam.size {
			t.Errorf("%d rules in %d bytes", rules, len(b))
		}
	})
}
