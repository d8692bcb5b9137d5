package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	source      = "https://github.com/nscope/nscope"
	description = "Shows every network namespace of a container host and how they are wired together"
	licenses    = "Apache-2.0"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("mkimage", flag.ExitOnError)
	arch := f.String("arch", runtime.GOARCH, "processor, as Go calls it: amd64, arm64, …")
	tag := f.String("tag", "nscope:dev", "name of the image")
	version := f.String("version", "dev", "version of nscope")
	binary := f.String("bin", "", "use this binary instead of building one")
	out := f.String("o", "", "archive to write; default dist/nscope-image-ARCH.tar")
	_ = f.Parse(args)
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if *out == "" {
		*out = filepath.Join("dist", "nscope-image-"+*arch+".tar")
	}
	data, err := binaryOf(*binary, *arch, *version)
	if err != nil {
		return err
	}
	if err := check(data, *arch); err != nil {
		return err
	}
	im := &image{binary: data, arch: *arch, tag: *tag}
	if im.created, err = created(); err != nil {
		return err
	}
	im.labels = labels(*version, im.created)
	var buf bytes.Buffer
	if err := im.write(&buf); err != nil {
		return err
	}
	if err := writeFile(*out, buf.Bytes()); err != nil {
		return err
	}
	fmt.Printf("%s: %s for linux/%s, %.1f MB; load it with: docker load -i %[1]s\n", *out, *tag, *arch, float64(buf.Len())/1e6)
	return nil
}

// binaryOf builds nscope, unless a binary is given.
func binaryOf(path, arch, version string) ([]byte, error) {
	if path != "" {
		return os.ReadFile(path)
	}
	dir, err := os.MkdirTemp("", "nscope-image-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path = filepath.Join(dir, "nscope")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/nscope/nscope/cmd.version="+version, "-o", path, "github.com/nscope/nscope/cmd/nscope")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	return os.ReadFile(path)
}

// machines are the processors that an image can be checked for.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390,
}

// check refuses what could not run in an image that holds nothing else.
func check(binary []byte, arch string) error {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("the binary is no ELF file: %w", err)
	}
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("unknown processor %q", arch)
	}
	if f.Machine != want {
		return fmt.Errorf("the binary is for %v, the image for %s", f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the binary is not static: build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// created is SOURCE_DATE_EPOCH (reproducible-builds.org), else the time of the commit, else 1970.
func created() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		s = git("log", "-1", "--format=%ct")
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

// labels are the annotations that the OCI image specification predefines.
func labels(version string, t time.Time) map[string]string {
	const p = "org.opencontainers.image."
	l := map[string]string{
		p + "title": "nscope", p + "description": description, p + "version": version, p + "source": source,
		p + "url": source, p + "documentation": source + "/blob/main/docs/image.md", p + "licenses": licenses, p + "vendor": "nscope",
		p + "created": t.UTC().Format(time.RFC3339),
	}
	if rev := git("rev-parse", "HEAD"); rev != "" {
		l[p+"revision"] = rev
	}
	return l
}

// git is the answer of git, "" where there is none: a release tarball has no repository.
func git(args ...string) string {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// writeFile leaves either the whole file or none.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
