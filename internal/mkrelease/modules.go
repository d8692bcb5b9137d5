package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nscope/nscope/internal/artifact"
)

// modulesOf are the modules that the linker put into a binary, sorted by path. One that is replaced would be told of under a wrong
// name, so it is an error.
func modulesOf(binary []byte) ([]*debug.Module, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("module %s is replaced by %s", m.Path, m.Replace.Path)
		}
	}
	return info.Deps, nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/nscope/nscope").Output()
	return strings.TrimSpace(string(out)), goError("find the module", err)
}

// goError adds what the go command printed.
func goError(what string, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %s", what, bytes.TrimSpace(exit.Stderr))
	}
	return fmt.Errorf("%s: %w", what, err)
}

// noticeFile are the names under which modules keep their licence and what it asks to be passed on.
var noticeFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright)([.-].*)?$`)

// noticesOf are the licences of the modules and of Go's own library, which are to be passed on with the binary. A module without
// one is an error: it could not be given out.
func noticesOf(mods []*debug.Module) ([]byte, error) {
	args := []string{"list", "-m", "-json"}
	for _, m := range mods {
		args = append(args, m.Path)
	}
	out, err := exec.Command("go", args...).Output()
	if err := goError("find the modules", err); err != nil {
		return nil, err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err := goError("find Go", err); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("nscope holds the following modules of others.\n")
	if err := notices(&b, "the library of Go "+goVersion(), strings.TrimSpace(string(goroot))); err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return b.Bytes(), nil
		} else if err != nil {
			return nil, err
		}
		if err := notices(&b, m.Path+" "+m.Version, m.Dir); err != nil {
			return nil, err
		}
	}
}

func notices(b *bytes.Buffer, what, dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the licence of %s: %w", what, err)
	}
	found := false
	for _, f := range list {
		if f.IsDir() || !noticeFile.MatchString(f.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return fmt.Errorf("the licence of %s: %w", what, err)
		}
		found = true
		fmt.Fprintf(b, "\n%s\n%s: %s\n%[1]s\n\n%s\n", strings.Repeat("=", 78), what, f.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence in %s", what, dir)
	}
	return nil
}

// The parts of CycloneDX 1.6 that are used: https://cyclonedx.org/docs/1.6/json/
type (
	bom struct {
		Schema       string      `json:"$schema"`
		Format       string      `json:"bomFormat"`
		SpecVersion  string      `json:"specVersion"`
		SerialNumber string      `json:"serialNumber"`
		Version      int         `json:"version"`
		Metadata     bomMetadata `json:"metadata"`
		Components   []component `json:"components"`
	}
	bomMetadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type       string       `json:"type"`
		Ref        string       `json:"bom-ref"`
		Name       string       `json:"name"`
		Version    string       `json:"version"`
		PURL       string       `json:"purl"`
		Hashes     []bomHash    `json:"hashes,omitempty"`
		Licenses   []bomLicense `json:"licenses,omitempty"`
		Properties []property   `json:"properties,omitempty"`
	}
	bomHash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	bomLicense struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// bom tells what the binary is made of, as the linker wrote it down in the binary itself.
func (r *release) bom(mods []*debug.Module) ([]byte, error) {
	sum := sha256.Sum256(r.binary)
	self := component{
		Type: "application", Name: "nscope", Version: r.version, PURL: purl("github.com/nscope/nscope", r.version),
		Hashes:     []bomHash{{"SHA-256", fmt.Sprintf("%x", sum)}},
		Licenses:   make([]bomLicense, 1),
		Properties: []property{{"nscope:arch", r.arch}, {"nscope:os", "linux"}},
	}
	self.Ref, self.Licenses[0].License.ID = self.PURL, artifact.Licenses
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		// A UUID of version 8 (RFC 9562): its bits are the maker's, here the binary's.
		SerialNumber: fmt.Sprintf("urn:uuid:%x-%x-8%03x-8%03x-%x", sum[:4], sum[4:6], uint16(sum[6])<<4, uint16(sum[8])<<4, sum[10:16]),
		Metadata:     bomMetadata{r.time.UTC().Format(time.RFC3339), self},
	}
	std := component{Type: "library", Name: "std", Version: goVersion(), PURL: purl("std", goVersion())}
	std.Ref = std.PURL
	b.Components = append(b.Components, std)
	for _, m := range mods {
		c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: purl(m.Path, m.Version)}
		c.Ref = c.PURL
		if m.Sum != "" {
			// go.sum's: the SHA-256 of a list of the files' SHA-256, in base64. It is the hash of no file that somebody could have.
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
			if err != nil || len(raw) != sha256.Size {
				return nil, fmt.Errorf("the sum of %s is %q", m.Path, m.Sum)
			}
			c.Properties = []property{{"nscope:go.sum", m.Sum}}
		}
		b.Components = append(b.Components, c)
	}
	out, err := json.MarshalIndent(b, "", "  ")
	return append(out, '\n'), err
}

// purl is a package URL (github.com/package-url/purl-spec) of a Go module.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + url.PathEscape(version)
}
