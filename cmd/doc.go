// Package cmd is nscope's command line: one file per command, each of which reads its flags, calls the package that does
// the work and prints what it says. It holds no logic of its own.
//
// Data goes to standard output, everything else (progress, gaps, errors) to standard error. Exit codes: 0 fine; 1 failed,
// or found nothing; 2 usage or no such target; 3 not permitted; for exec the child's.
package cmd
