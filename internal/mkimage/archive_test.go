package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/internal/artifact"
)

// program is what goes into the image.
var program = []byte("the program")

func archive(t *testing.T, at time.Time) []byte {
	t.Helper()
	im := &image{binary: program, arch: "arm64", tag: "nscope:test", created: at, labels: labels("1.2.3", at)}
	var b bytes.Buffer
	if err := im.write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func untar(t *testing.T, r io.Reader) (files map[string][]byte, heads map[string]*tar.Header) {
	t.Helper()
	files, heads = map[string][]byte{}, map[string]*tar.Header{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files, heads
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name], heads[h.Name] = b, h
	}
}

func unmarshal(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
}

// TestArchive follows every reference of the archive, from both of its beginnings.
func TestArchive(t *testing.T) {
	at := time.Unix(1700000000, 0)
	files, _ := untar(t, bytes.NewReader(archive(t, at)))
	blob := func(d descriptor) []byte {
		b, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if !ok || digest(b) != d.Digest || len(b) != d.Size {
			t.Fatalf("blob %s: there %v, %d bytes of %d, digest %s", d.Digest, ok, len(b), d.Size, digest(b))
		}
		return b
	}
	var ix index
	unmarshal(t, files["index.json"], &ix)
	if len(ix.Manifests) != 1 || ix.Manifests[0].Platform.Architecture != "arm64" || ix.Manifests[0].Annotations[nameContainerd] != "docker.io/library/nscope:test" {
		t.Fatalf("index %s", files["index.json"])
	}
	var man manifest
	unmarshal(t, blob(ix.Manifests[0]), &man)
	var conf config
	unmarshal(t, blob(man.Config), &conf)
	if conf.Architecture != "arm64" || conf.OS != "linux" || strings.Join(conf.Config.Entrypoint, " ") != "/nscope" {
		t.Errorf("config %+v", conf)
	}
	for k, want := range map[string]string{"title": "nscope", "version": "1.2.3", "source": artifact.Source, "licenses": "Apache-2.0", "created": "2023-11-14T22:13:20Z"} {
		if got := conf.Config.Labels["org.opencontainers.image."+k]; got != want {
			t.Errorf("label %s is %q, want %q", k, got, want)
		}
	}
	gz, err := gzip.NewReader(bytes.NewReader(blob(man.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	if digest(layer) != conf.RootFS.DiffIDs[0] {
		t.Errorf("the layer is %s, the configuration says %s", digest(layer), conf.RootFS.DiffIDs[0])
	}
	in, heads := untar(t, bytes.NewReader(layer))
	if !bytes.Equal(in["nscope"], program) || heads["nscope"].Mode != 0o755 || heads["tmp/"].Mode != 0o1777 || len(in) != 2 {
		t.Errorf("the layer holds %v", heads)
	}
	for name, h := range heads {
		if !h.ModTime.Equal(at) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s: %+v", name, h)
		}
	}
	var old []dockerManifest
	unmarshal(t, files["manifest.json"], &old)
	if len(old) != 1 || old[0].RepoTags[0] != "nscope:test" || !bytes.Equal(files[old[0].Config], blob(man.Config)) || !bytes.Equal(files[old[0].Layers[0]], blob(man.Layers[0])) {
		t.Errorf("manifest.json %s", files["manifest.json"])
	}
}

func TestSameBytes(t *testing.T) {
	at := time.Unix(1700000000, 0)
	if !bytes.Equal(archive(t, at), archive(t, at)) {
		t.Error("two archives of the same input differ")
	}
	if bytes.Equal(archive(t, at), archive(t, at.Add(time.Second))) {
		t.Error("the time is not in the archive")
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ name, full, tag string }{
		{"nscope", "docker.io/library/nscope:latest", "latest"},
		{"nscope:1.2", "docker.io/library/nscope:1.2", "1.2"},
		{"me/nscope:1", "docker.io/me/nscope:1", "1"},
		{"ghcr.io/nscope/nscope:1", "ghcr.io/nscope/nscope:1", "1"},
		{"localhost/nscope", "localhost/nscope:latest", "latest"},
		{"reg:5000/nscope", "reg:5000/nscope:latest", "latest"},
	} {
		if full, tag := fullName(tc.name), tagOf(tc.name); full != tc.full || tag != tc.tag {
			t.Errorf("%s: %s and %s, want %s and %s", tc.name, full, tag, tc.full, tc.tag)
		}
	}
}
