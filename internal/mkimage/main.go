package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nscope/nscope/internal/artifact"
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
	if err := artifact.Check(data, *arch); err != nil {
		return err
	}
	im := &image{binary: data, arch: *arch, tag: *tag}
	if im.created, err = artifact.Time(); err != nil {
		return err
	}
	im.labels = labels(*version, im.created)
	var buf bytes.Buffer
	if err := im.write(&buf); err != nil {
		return err
	}
	if err := artifact.WriteFile(*out, buf.Bytes()); err != nil {
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
	return artifact.Build(arch, version)
}

// labels are the annotations that the OCI image specification predefines.
func labels(version string, t time.Time) map[string]string {
	const p = "org.opencontainers.image."
	l := map[string]string{
		p + "title": "nscope", p + "description": artifact.Description, p + "version": version, p + "source": artifact.Source,
		p + "url": artifact.Source, p + "documentation": artifact.Source + "/blob/main/docs/image.md", p + "licenses": artifact.Licenses, p + "vendor": "nscope",
		p + "created": t.UTC().Format(time.RFC3339),
	}
	if rev := artifact.Git("rev-parse", "HEAD"); rev != "" {
		l[p+"revision"] = rev
	}
	return l
}
