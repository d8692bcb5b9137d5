// Package bolt reads bolt databases (go.etcd.io/bbolt, file format version 2) without the library: Docker keeps its
// networks in one. The library maps the file, locks it against the engine that uses it and panics on a damaged one; this
// reader walks bytes that were read at once, checks every offset, and writes nothing.
//
// The format is that of bbolt's page.go, meta.go and bucket.go; all numbers are little-endian, as on the machines that
// containers run on.
package bolt
