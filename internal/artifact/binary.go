package artifact

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What is said of nscope wherever it is described.
const (
	Source      = "https://github.com/nscope/nscope"
	Description = "Shows every network namespace of a container host and how they are wired together"
	Licenses    = "Apache-2.0"
)

// Build builds nscope for Linux on a processor, as Go calls it, as `make build` does.
func Build(arch, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "nscope-build-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "nscope")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/nscope/nscope/cmd.version="+version, "-o", path, "github.com/nscope/nscope/cmd/nscope")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	return os.ReadFile(path)
}

// machines are the processors that a binary can be checked for.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390,
}

// Check refuses what could not run where there is nothing else: a binary for another processor, or one that needs libraries.
func Check(binary []byte, arch string) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("the binary is no ELF file: %w", err)
	}
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("unknown processor %q", arch)
	}
	if f.Machine != want {
		return fmt.Errorf("the binary is for %v, not for %s", f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the binary is not static: build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// Time is SOURCE_DATE_EPOCH (reproducible-builds.org), else the time of the commit, else 1970.
func Time() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		s = Git("log", "-1", "--format=%ct")
	}
	if s == "" {
		return time.Unix(0, 0), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, not seconds since 1970", s)
	}
	return time.Unix(n, 0), nil
}

// Git is the answer of git, "" where there is none: a release tarball has no repository.
func Git(args ...string) string {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// WriteFile leaves either the whole file or none, and makes its folder.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
