// Command mkdocs keeps docs/ true: it writes the parts of it that a program can know, and its tests fail when they are
// out of date or when the rest speaks of a command, a flag, a file or a module that is not there.
//
//	go run ./internal/mkdocs        (make docs)
//
// It writes
//   - the tables of docs/schema.md, from the Go source of inspect/snapshot and topo/graph.go (schema.go);
//   - the table of docs/dependencies.md, from go.mod and the imports of all files (modules.go);
//   - the output of every command in a block that "<!-- run: … -->" precedes, by running it on a snapshot of
//     docs/examples (examples.go), and the pictures in docs/img;
//   - the manual pages in docs/man.
//
// It reads files of this repository only.
package main
