package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/internal/artifact"
)

// maintainer is who a package names, in the form that Debian's tools ask for.
const maintainer = "nscope developers <nscope@users.noreply.github.com>"

// debianArch is what Debian calls a processor of Go's.
func debianArch(arch string) string {
	if d, ok := map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}[arch]; ok {
		return d
	}
	return arch
}

// debianVersion is a version as dpkg orders it (deb-version(7)): 1.2.3-rc.1 comes before 1.2.3, which comes before the commits
// after it (git describe: v1.2.3-5-g0123abc). What does not begin with a digit is older than any release.
func debianVersion(v string) string {
	v = strings.TrimPrefix(v, "v")
	release, rest, ok := strings.Cut(v, "-")
	switch {
	case v == "" || v[0] < '0' || v[0] > '9' || !strings.Contains(v, "."): // dev, or a bare commit
		release, rest, ok = "0", v, true
		fallthrough
	case ok && (rest[0] < '0' || rest[0] > '9') && !strings.HasPrefix(rest, "dirty"):
		v = release + "~" + rest
	case ok:
		v = release + "+" + rest
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '+', r == '~':
			return r
		}
		return '.'
	}, v)
}

// debian is the package: an ar archive of a version, a tar of control files and a tar of the files (deb(5)).
func (r *release) debian(notices []byte) ([]byte, error) {
	const doc = "usr/share/doc/nscope/"
	data := tree{
		"usr/bin/nscope":  {0o755, r.binary},
		doc + "copyright": {0o644, []byte(copyright)},
		"usr/share/bash-completion/completions/nscope":    {0o644, r.common.completions["bash"]},
		"usr/share/zsh/vendor-completions/_nscope":        {0o644, r.common.completions["zsh"]},
		"usr/share/fish/vendor_completions.d/nscope.fish": {0o644, r.common.completions["fish"]},
		"usr/share/lintian/overrides/nscope":              {0o644, []byte("# one static binary, on purpose\nnscope: statically-linked-binary\n")},
	}
	version := debianVersion(r.version)
	compressed := map[string][]byte{
		doc + "changelog.gz":       []byte(changelog(version, r.time)),
		doc + "README.md.gz":       r.common.readme,
		doc + "THIRD-PARTY.txt.gz": notices,
	}
	for name, text := range r.common.man {
		compressed["usr/share/man/man1/"+name+".gz"] = text
	}
	for path, text := range compressed {
		z, err := artifact.Gzip(text)
		if err != nil {
			return nil, err
		}
		data[path] = file{0o644, z}
	}
	var sums bytes.Buffer
	kib := 0
	for _, path := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(data[path].data), path)
		kib += (len(data[path].data) + 1023) / 1024
	}
	control := tree{
		"control": {0o644, fmt.Appendf(nil, `Package: nscope
Version: %s
Architecture: %s
Maintainer: %s
Installed-Size: %d
Section: net
Priority: optional
Homepage: %s
Description: network namespaces of a container host, and how they are wired
 nscope shows every network namespace of a Linux container host, who holds it,
 and how bridges, veth pairs, overlays and macvlans tie them together. It asks
 the kernel first and the container engines second, and needs no agent and no
 tools inside the containers.
`, version, debianArch(r.arch), maintainer, kib, artifact.Source)},
		"md5sums": {0o644, sums.Bytes()},
	}
	controlTar, err := control.tarGz("./", r.time)
	if err != nil {
		return nil, err
	}
	dataTar, err := data.tarGz("./", r.time)
	if err != nil {
		return nil, err
	}
	return ar(r.time, member{"debian-binary", []byte("2.0\n")}, member{"control.tar.gz", controlTar}, member{"data.tar.gz", dataTar}), nil
}

type member struct {
	name string
	data []byte
}

// ar is the archive of ar(5), in the common variant: a text header of 60 bytes before each member, which begins at an even offset.
func ar(at time.Time, members ...member) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range members {
		// name, time, owner, group, mode in octal, size in bytes
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", m.name, at.Unix(), 0, 0, 0o100644, len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func changelog(version string, at time.Time) string {
	return fmt.Sprintf("nscope (%s) unstable; urgency=medium\n\n  * As built from %s\n\n -- %s  %s\n",
		version, artifact.Source, maintainer, at.UTC().Format(time.RFC1123Z))
}

// copyright is Debian's machine-readable form (copyright-format 1.0).
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: nscope
Source: ` + artifact.Source + `
Comment: The binary holds modules of others; their notices are in THIRD-PARTY.txt.gz.

Files: *
Copyright: the nscope authors
License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`
