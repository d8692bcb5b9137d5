package main

import "strings"

// tagOf is what follows the last colon of an image's name, "latest" where there is none.
func tagOf(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[i+1:]
	}
	return "latest"
}

// fullName is the name that containerd keeps an image by, as Docker would complete it: nscope:dev is
// docker.io/library/nscope:dev.
func fullName(name string) string {
	tag := tagOf(name)
	name = strings.TrimSuffix(name, ":"+tag)
	host, rest, ok := strings.Cut(name, "/")
	switch {
	case !ok:
		name = "docker.io/library/" + name
	case strings.ContainsAny(host, ".:") || host == "localhost":
		name = host + "/" + rest
	default:
		name = "docker.io/" + name
	}
	return name + ":" + tag
}
