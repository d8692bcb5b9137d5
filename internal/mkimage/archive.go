package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/nscope/nscope/internal/artifact"
)

// image is what goes into the archive.
type image struct {
	binary  []byte
	arch    string
	tag     string
	created time.Time
	labels  map[string]string
}

// The media types of the OCI image specification, and the annotations by which containerd and podman name an image.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"

	nameRef        = "org.opencontainers.image.ref.name"
	nameContainerd = "io.containerd.image.name"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// config is the image configuration; its fields have Docker's case.
type config struct {
	Created      string    `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       runConfig `json:"config"`
	RootFS       rootFS    `json:"rootfs"`
	History      []history `json:"history"`
}

type runConfig struct {
	Env        []string          `json:"Env"`
	Entrypoint []string          `json:"Entrypoint"`
	WorkingDir string            `json:"WorkingDir"`
	Labels     map[string]string `json:"Labels"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type history struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

// dockerManifest is manifest.json of `docker save`, which engines read that know nothing of OCI layouts.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// write writes the archive: an OCI image layout with a manifest.json beside it that names the same blobs.
func (im *image) write(w io.Writer) error {
	plain, packed, err := im.layer()
	if err != nil {
		return err
	}
	created := im.created.UTC().Format(time.RFC3339)
	conf := mustJSON(config{
		Created: created, Architecture: im.arch, OS: "linux",
		Config: runConfig{
			// What `nscope exec` looks commands up in, also where the engine sets none.
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Entrypoint: []string{"/nscope"}, WorkingDir: "/", Labels: im.labels,
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{digest(plain)}},
		History: []history{{Created: created, CreatedBy: "nscope internal/mkimage"}},
	})
	man := mustJSON(manifest{
		SchemaVersion: 2, MediaType: typeManifest,
		Config:      describe(typeConfig, conf),
		Layers:      []descriptor{describe(typeLayer, packed)},
		Annotations: im.labels,
	})
	top := describe(typeManifest, man)
	top.Platform = &platform{Architecture: im.arch, OS: "linux"}
	name := fullName(im.tag)
	top.Annotations = map[string]string{nameContainerd: name, nameRef: tagOf(im.tag)}

	out := artifact.NewTar(w, im.created)
	out.File("oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	out.Dir("blobs/")
	out.Dir("blobs/sha256/")
	for _, blob := range [][]byte{conf, packed, man} {
		out.File(blobPath(blob), 0o644, blob)
	}
	out.File("index.json", 0o644, mustJSON(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{top}}))
	out.File("manifest.json", 0o644, mustJSON([]dockerManifest{{
		Config: blobPath(conf), RepoTags: []string{im.tag}, Layers: []string{blobPath(packed)},
	}}))
	return out.Close()
}

// layer is the file system: /nscope, and a /tmp for `nscope exec --resolv --own-root`.
func (im *image) layer() (plain, packed []byte, err error) {
	var buf bytes.Buffer
	t := artifact.NewTar(&buf, im.created)
	t.File("nscope", 0o755, im.binary)
	t.Header(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777})
	if err := t.Close(); err != nil {
		return nil, nil, err
	}
	packed, err = artifact.Gzip(buf.Bytes())
	return buf.Bytes(), packed, err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobPath(b []byte) string { return "blobs/sha256/" + digest(b)[len("sha256:"):] }

func describe(mediaType string, b []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(b), Size: len(b)}
}

// mustJSON encodes a value of the types above, which cannot fail. Maps come out sorted.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}
