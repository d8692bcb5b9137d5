package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/cmd"
	"github.com/nscope/nscope/internal/artifact"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkrelease:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("mkrelease", flag.ExitOnError)
	archs := f.String("arch", "amd64,arm64", "processors, as Go calls them")
	version := f.String("version", "dev", "version of nscope")
	out := f.String("o", "dist", "folder to write to")
	_ = f.Parse(args)
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	at, err := artifact.Time()
	if err != nil {
		return err
	}
	common, err := commonFiles()
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, arch := range strings.Split(*archs, ",") {
		binary, err := artifact.Build(arch, *version)
		if err != nil {
			return err
		}
		if err := artifact.Check(binary, arch); err != nil {
			return err
		}
		r := release{version: *version, arch: arch, time: at, binary: binary, common: common}
		if err := r.make(files); err != nil {
			return err
		}
	}
	files["SHA256SUMS"] = sums(files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(*out, name)
		if err := artifact.WriteFile(path, files[name]); err != nil {
			return err
		}
		fmt.Printf("%s: %.1f MB\n", path, float64(len(files[name]))/1e6)
	}
	return nil
}

// release is what is made for one processor.
type release struct {
	version, arch string
	time          time.Time
	binary        []byte
	common        *common
}

// common is what is the same for all processors.
type common struct {
	// man are manual pages by file name, completions the scripts by shell.
	man, completions map[string][]byte
	readme, license  []byte
}

// commonFiles lets the command line that is built into this program write its manual and completions.
func commonFiles() (*common, error) {
	c := &common{completions: map[string][]byte{}}
	var err error
	if c.man, err = cmd.ManPages(); err != nil {
		return nil, err
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out, errs bytes.Buffer
		if code := cmd.Main([]string{"nscope", "completion", shell}, strings.NewReader(""), &out, &errs); code != 0 {
			return nil, fmt.Errorf("completion for %s: %s", shell, &errs)
		}
		c.completions[shell] = out.Bytes()
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	if c.readme, err = os.ReadFile(filepath.Join(root, "README.md")); err != nil {
		return nil, err
	}
	c.license, err = os.ReadFile(filepath.Join(root, "LICENSE"))
	return c, err
}

// make adds the files of this processor to files, by their names.
func (r *release) make(files map[string][]byte) error {
	mods, err := modulesOf(r.binary)
	if err != nil {
		return err
	}
	notices, err := noticesOf(mods)
	if err != nil {
		return err
	}
	base := fmt.Sprintf("nscope_%s_linux_%s", strings.TrimPrefix(r.version, "v"), r.arch)
	if files[base+".tar.gz"], err = r.tarball(base, notices); err != nil {
		return err
	}
	if files[fmt.Sprintf("nscope_%s_%s.deb", debianVersion(r.version), debianArch(r.arch))], err = r.debian(notices); err != nil {
		return err
	}
	files[base+".cdx.json"], err = r.bom(mods)
	return err
}

// tarball holds everything in one folder.
func (r *release) tarball(base string, notices []byte) ([]byte, error) {
	t := tree{
		base + "/nscope":          {0o755, r.binary},
		base + "/README.md":       {0o644, r.common.readme},
		base + "/LICENSE":         {0o644, r.common.license},
		base + "/THIRD-PARTY.txt": {0o644, notices},
	}
	for name, text := range r.common.man {
		t[base+"/man/man1/"+name] = file{0o644, text}
	}
	for shell, name := range map[string]string{"bash": "nscope.bash", "zsh": "_nscope", "fish": "nscope.fish"} {
		t[base+"/completions/"+name] = file{0o644, r.common.completions[shell]}
	}
	return t.tarGz("", r.time)
}

// file is one of a tree.
type file struct {
	mode int64
	data []byte
}

// tree are files by their paths, without a leading slash.
type tree map[string]file

// tarGz is the tree as an archive, sorted, with each folder before what is in it; every path gets the prefix.
func (t tree) tarGz(prefix string, at time.Time) ([]byte, error) {
	var buf bytes.Buffer
	w := artifact.NewTar(&buf, at)
	if prefix != "" {
		w.Dir(prefix)
	}
	made := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(t)) {
		for i, c := range path {
			if dir := path[:i+1]; c == '/' && !made[dir] {
				made[dir] = true
				w.Dir(prefix + dir)
			}
		}
		w.File(prefix+path, t[path].mode, t[path].data)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return artifact.Gzip(buf.Bytes())
}

// sums is what sha256sum -c reads.
func sums(files map[string][]byte) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(files[name]), name)
	}
	return b.Bytes()
}

// goVersion is the compiler's, without "go".
func goVersion() string { return strings.TrimPrefix(runtime.Version(), "go") }
