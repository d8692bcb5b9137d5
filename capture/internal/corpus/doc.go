// Package corpus makes frames for the tests of capture: every protocol that is decoded, with options, extension headers, fragments,
// wrong checksums, tunnels nested twice, and all of it cut off at every byte. The same seed gives the same frames.
package corpus
