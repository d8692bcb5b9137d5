// Command mkrelease builds what is given out of nscope, for each processor:
//
//	nscope_VERSION_linux_ARCH.tar.gz    the binary, manual pages, completions, licences
//	nscope_VERSION_ARCH.deb             the same as a Debian package
//	nscope_VERSION_linux_ARCH.cdx.json  what the binary is made of (CycloneDX 1.6)
//	SHA256SUMS                          of all of them
//
//	go run ./internal/mkrelease -arch amd64,arm64 -version 1.2.3 -o dist
//
// It runs on any system that has Go, and needs no network beyond the modules that a build needs. The same sources, version and
// time (SOURCE_DATE_EPOCH, else that of the commit) give the same bytes.
package main
