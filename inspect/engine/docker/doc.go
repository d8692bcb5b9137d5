// Package docker reads Docker engines: by their API (1.40 and later) and, where none answers, from what they left on disk.
//
// A killed dockerd leaves its containers running, so their names, images, networks and ports are read from
// <data-root>/containers/<id>/config.v2.json and hostconfig.json, and the networks from
// <data-root>/network/files/local-kv.db. Their shims, which run on too, tell in which mount namespace these files are and where the
// data-root is. The layouts are those of Docker Engine 20.10 to 29 (moby's daemon/container, libnetwork, daemon/cluster).
//
// Nothing is asked that changes anything: a socket is only connected to, and only GET and HEAD are sent.
package docker
