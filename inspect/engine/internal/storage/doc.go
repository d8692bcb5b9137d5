// Package storage reads the containers of containers/storage, which Podman and CRI-O share: <root>/<driver>-containers has
// containers.json with their names and images, and each container's OCI configuration is in <id>/userdata below that folder
// (Podman) or below the same one in the run root (CRI-O), where its pid is, too.
package storage
