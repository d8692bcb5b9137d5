package netfilter

import (
	"slices"
	"testing"
)

// FuzzXT: no structure, whatever its bytes, stops the decoders, and one of another length than the header's is unknown.
func FuzzXT(f *testing.F) {
	for i, k := range xtMatches {
		f.Add(uint16(i), make([]byte, (k.size+7)&^7))
	}
	for i, k := range xtTargets {
		f.Add(uint16(len(xtMatches)+i), make([]byte, (k.size+7)&^7))
	}
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		i := int(kind) % (len(xtMatches) + len(xtTargets))
		for family := range xtFamilies {
			if i < len(xtMatches) {
				k := xtMatches[i]
				e := xtMatchExpr(family, k.name, k.rev, data)
				if e.Unknown == nil && !slices.ContainsFunc(xtMatchesByID[xtID{k.name, k.rev}], func(k xtMatchKind) bool { return k.fits(family, data) }) {
					t.Errorf("%s match %s.%d of %d bytes is understood", family, k.name, k.rev, len(data))
				}
				continue
			}
			k := xtTargets[i-len(xtMatches)]
			e := xtTargetExpr(family, k.name, k.rev, data)
			if e.Unknown == nil && !slices.ContainsFunc(xtTargetsByID[xtID{k.name, k.rev}], func(k xtTargetKind) bool { return k.fits(family, data) }) {
				t.Errorf("%s target %s.%d of %d bytes is understood", family, k.name, k.rev, len(data))
			}
		}
	})
}

// TestXTAnyBytes runs the decoders on bytes of the right length.
func TestXTAnyBytes(t *testing.T) {
	for _, fill := range []byte{0, 1, 0x7f, 0xff} {
		fillOf := func(size int) []byte {
			b := make([]byte, (size+7)&^7)
			for i := range b {
				b[i] = fill
			}
			return b
		}
		for family := range xtFamilies {
			for _, k := range xtMatches {
				xtMatchExpr(family, k.name, k.rev, fillOf(k.size))
			}
			for _, k := range xtTargets {
				xtTargetExpr(family, k.name, k.rev, fillOf(k.size))
			}
		}
	}
}
