// Package artifact holds what the container image (mkimage) and the packages (mkrelease) have in common: the static binary and
// what is asked of it, the one time that everything in them has, and archives whose bytes depend on nothing else.
package artifact
