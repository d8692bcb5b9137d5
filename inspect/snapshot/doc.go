// Package snapshot is the data model of nscope: everything that was read from one host at one moment, as plain
// structs, and the reading and writing of it as one JSON file.
//
// inspect fills a [Snapshot], everything else (the topology, the views, the diagnoses) is a pure function of one or
// several. A snapshot on disk is therefore as good as a live host, on any operating system and without privileges.
//
// Rules of the format (schema 1):
//   - lists are never null and always sorted ([Snapshot.Normalize]), so that two snapshots of an unchanged host differ
//     only in time and counters;
//   - what is not known is absent, never guessed; what could not be read is a [Gap];
//   - a later minor addition is a new field: a reader of schema 1 ignores fields that it does not know.
//
// This package touches nothing but the files it is told to load and save: no netlink, no /proc, no engine.
package snapshot
