package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/internal/artifact"
)

// command runs a program and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, &errs)
	}
	return string(out)
}

// make1 makes a release as `make release` does, without a network and (it takes minutes) without the profile, and returns its folder.
func make1(t *testing.T, archs string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "-trimpath", ".", "-arch", archs, "-version", "v1.2.3-rc.1", "-o", dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOPROXY=off", "GOFLAGS=-mod=readonly -pgo=off", "SOURCE_DATE_EPOCH=1700000000", "TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// other is a processor that this machine does not have.
func other() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// TestRelease makes a release for two processors and looks at it with Debian's tools and by running what it holds.
func TestRelease(t *testing.T) {
	nettest.NeedsRoot(t) // dpkg, and whose build cache is warm
	nettest.NeedsTool(t, "go", "dpkg", "dpkg-deb", "sha256sum", "tar")
	dir := make1(t, runtime.GOARCH+","+other())
	var want []string
	for _, arch := range []string{runtime.GOARCH, other()} {
		want = append(want, "nscope_1.2.3-rc.1_linux_"+arch+".tar.gz", "nscope_1.2.3-rc.1_linux_"+arch+".cdx.json", "nscope_1.2.3~rc.1_"+arch+".deb")
	}
	slices.Sort(want)
	if got := strings.Count(command(t, dir, "sha256sum", "-c", "--strict", "SHA256SUMS"), ": OK\n"); got != len(want) {
		t.Errorf("%d sums for %d files", got, len(want))
	}
	if got := strings.Fields(command(t, dir, "ls")); !slices.Equal(got[1:], want) {
		t.Errorf("files %q, want %q", got[1:], want)
	}
	for _, arch := range []string{runtime.GOARCH, other()} {
		t.Run(arch, func(t *testing.T) {
			unpacked := t.TempDir()
			command(t, dir, "tar", "xzf", "nscope_1.2.3-rc.1_linux_"+arch+".tar.gz", "-C", unpacked)
			unpacked += "/nscope_1.2.3-rc.1_linux_" + arch
			deb := filepath.Join(dir, "nscope_1.2.3~rc.1_"+arch+".deb")
			root := t.TempDir()
			if arch == runtime.GOARCH {
				install(t, deb, root)
			} else {
				command(t, "", "dpkg-deb", "-x", deb, root)
			}
			binary, err := os.ReadFile(root + "/usr/bin/nscope")
			if err != nil {
				t.Fatal(err)
			}
			if err := artifact.Check(binary, arch); err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(unpacked + "/nscope"); err != nil || !bytes.Equal(b, binary) {
				t.Errorf("tarball and package hold different binaries: %v", err)
			}
			pages := manPages(t)
			for name, text := range pages {
				if b, err := os.ReadFile(unpacked + "/man/man1/" + name); err != nil || !bytes.Equal(b, text) {
					t.Errorf("%s in the tarball: %v", name, err)
				}
				if got := command(t, "", "gzip", "-dc", root+"/usr/share/man/man1/"+name+".gz"); got != string(text) {
					t.Errorf("%s in the package is another", name)
				}
			}
			for _, name := range []string{"README.md", "LICENSE", "THIRD-PARTY.txt", "completions/nscope.bash", "completions/_nscope", "completions/nscope.fish"} {
				if b, err := os.ReadFile(unpacked + "/" + name); err != nil || len(b) < 500 {
					t.Errorf("%s: %d bytes, %v", name, len(b), err)
				}
			}
			checkBOM(t, filepath.Join(dir, "nscope_1.2.3-rc.1_linux_"+arch+".cdx.json"), binary, unpacked+"/THIRD-PARTY.txt")
		})
	}
	t.Run("again", func(t *testing.T) {
		again := make1(t, runtime.GOARCH)
		for _, name := range want {
			if !strings.Contains(name, runtime.GOARCH) {
				continue
			}
			a, err := os.ReadFile(filepath.Join(dir, name))
			b, err2 := os.ReadFile(filepath.Join(again, name))
			if err != nil || err2 != nil || !bytes.Equal(a, b) {
				t.Errorf("%s differs when it is made again: %v %v", name, err, err2)
			}
		}
	})
}

func manPages(t *testing.T) map[string][]byte {
	t.Helper()
	c, err := commonFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.man) < 20 {
		t.Errorf("%d manual pages", len(c.man))
	}
	return c.man
}

// install installs a package into an empty system, and runs it there.
func install(t *testing.T, deb, root string) {
	t.Helper()
	for _, d := range []string{"/var/lib/dpkg/info", "/var/lib/dpkg/updates"} {
		if err := os.MkdirAll(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(root+"/var/lib/dpkg/status", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "", "dpkg", "--root="+root, "--log=/dev/null", "-i", deb)
	if got := command(t, "", "dpkg-query", "--root="+root, "-W", "-f", "${Package} ${Version} ${Architecture} ${Status}", "nscope"); got != "nscope 1.2.3~rc.1 "+debianArch(runtime.GOARCH)+" install ok installed" {
		t.Errorf("installed is %q", got)
	}
	if got := command(t, "", "dpkg", "--root="+root, "--verify", "nscope"); got != "" { // by md5sums
		t.Errorf("changed since: %s", got)
	}
	if got := command(t, "", root+"/usr/bin/nscope", "version", "-o", "name"); got != "v1.2.3-rc.1\n" {
		t.Errorf("its version is %q", got)
	}
	for line := range strings.Lines(command(t, "", "dpkg-deb", "--contents", deb)) {
		if f := strings.Fields(line); f[1] != "root/root" && f[1] != "0/0" || f[3] != "2023-11-14" || f[0][0] == '-' && f[0] != "-rw-r--r--" && !strings.HasSuffix(line, "./usr/bin/nscope\n") {
			t.Errorf("in the package: %s", line)
		}
	}
	command(t, "", "dpkg", "--root="+root, "--log=/dev/null", "-r", "nscope")
	left := command(t, root, "find", ".", "-path", "./var", "-prune", "-o", "-type", "f", "-print")
	if left != "" {
		t.Errorf("removed, and left behind: %s", left)
	}
	command(t, "", "dpkg", "--root="+root, "--log=/dev/null", "-i", deb)
}

// checkBOM compares the list of what is in a binary with what `go version -m` says of it, and with the notices.
func checkBOM(t *testing.T, path string, binary []byte, noticesPath string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	if h := b.Metadata.Component.Hashes; len(h) != 1 || h[0].Content != fmt.Sprintf("%x", sha256.Sum256(binary)) {
		t.Errorf("the hash of the binary is told as %v", h)
	}
	file := filepath.Join(t.TempDir(), "nscope")
	if err := os.WriteFile(file, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	notices, err := os.ReadFile(noticesPath)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, c := range b.Components {
		have[c.Name] = c.Version
	}
	deps := 0
	for line := range strings.Lines(command(t, "", "go", "version", "-m", file)) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			deps++
			if have[f[1]] != f[2] {
				t.Errorf("%s %s is in the binary, in the list is %q", f[1], f[2], have[f[1]])
			}
			if !bytes.Contains(notices, []byte("\n"+f[1]+" "+f[2]+": ")) {
				t.Errorf("the licence of %s %s is missing", f[1], f[2])
			}
		}
	}
	if deps == 0 || len(b.Components) != deps+1 || have["std"] != goVersion() {
		t.Errorf("%d components for %d modules and the library of Go", len(b.Components), deps)
	}
}

// TestDebianVersion: versions in the order of dpkg.
func TestDebianVersion(t *testing.T) {
	ordered := []string{"", "0123abc", "dev", "v0.1.0-rc.1", "v0.1.0", "v0.1.0-5-g0123abc", "v0.1.0-5-g0123abc-dirty", "v0.1.0-12-g0123abc", "v0.1.0-dirty", "0.1.1", "v1.0.0-beta_2", "v1.0.0"}
	nettest.NeedsTool(t, "dpkg")
	for i, v := range ordered[1:] {
		got := debianVersion(v)
		if err := exec.Command("dpkg", "--validate-version", got).Run(); err != nil {
			t.Errorf("%s: %q is no version: %v", v, got, err)
		}
		if err := exec.Command("dpkg", "--compare-versions", debianVersion(ordered[i]), "lt", got).Run(); err != nil {
			t.Errorf("%s (%s) does not come before %s (%s)", ordered[i], debianVersion(ordered[i]), v, got)
		}
	}
	for in, want := range map[string]string{"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3~rc.1", "v1.2.3-5-gab": "1.2.3+5.gab", "e3448e4": "0~e3448e4", "dev": "0~dev"} {
		if got := debianVersion(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
