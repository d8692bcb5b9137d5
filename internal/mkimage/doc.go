// Command mkimage builds nscope's container image without any engine: the static binary alone, in an archive that
// `docker load`, `podman load` and `ctr image import` take.
//
//	go run ./internal/mkimage -arch amd64 -tag nscope:dev -version 1.2.3 -o dist/nscope-image-amd64.tar
//
// The same sources, version and time (SOURCE_DATE_EPOCH, else that of the commit) give the same bytes.
package main
