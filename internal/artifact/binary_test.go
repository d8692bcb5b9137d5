package artifact

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// program is an ELF file that is enough to be looked at.
func program(m elf.Machine, progs ...elf.ProgType) []byte {
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(m), Version: uint32(elf.EV_CURRENT), Ehsize: 64,
		Phoff: 64, Phentsize: 56, Phnum: uint16(len(progs)), Shentsize: 64,
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	for _, p := range progs {
		_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(p)})
	}
	return b.Bytes()
}

func TestTime(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if at, err := Time(); err != nil || at.Unix() != 1700000000 {
		t.Error(at, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := Time(); err == nil {
		t.Error("nonsense is taken for a time")
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		what, arch, want string
		binary           []byte
	}{
		{"right", "amd64", "", program(elf.EM_X86_64, elf.PT_LOAD)},
		{"of another processor", "arm64", "not for arm64", program(elf.EM_X86_64)},
		{"dynamic", "amd64", "not static", program(elf.EM_X86_64, elf.PT_INTERP)},
		{"a script", "amd64", "no ELF", []byte("#!/bin/sh\n")},
		{"unheard of", "z80", "unknown processor", program(elf.EM_X86_64)},
	} {
		err := Check(tc.binary, tc.arch)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}
