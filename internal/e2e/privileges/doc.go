// Package privileges holds tests of what nscope does with fewer rights than root has: without each of its capabilities, in
// its image, with nothing but itself in sight, and where /proc, sockets and namespaces are closed or gone. They run the real,
// static binary, and prove docs/privileges.md and docs/image.md.
package privileges
