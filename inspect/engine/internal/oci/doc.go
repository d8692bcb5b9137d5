// Package oci reads what every runtime leaves of a container: the OCI runtime configuration (config.json of a bundle,
// opencontainers/runtime-spec), and libcni's cache of what a network plugin answered.
package oci
