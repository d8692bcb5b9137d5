// Package spell writes the rules of a snapshot as the tools do that made them, line by line as each tool saves them.
//
// It is pure: no kernel, no program. What a tool prints of the same rules is its test's oracle.
package spell
