package docker

import (
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

// contextMeta is ~/.docker/contexts/meta/<sha256 of the name>/meta.json (docker/cli's cli/context/store).
type contextMeta struct {
	Endpoints map[string]struct{ Host string }
}

// Named returns the endpoints that the docker command would use: DOCKER_HOST, or that of a context. Contexts that lead to
// other machines (ssh, TLS) are left out unless they are DOCKER_HOST: a user has those on any machine, and
// what runs there is not here.
func Named(home string, getenv func(string) string) []string {
	var urls []string
	if url := getenv("DOCKER_HOST"); url != "" {
		urls = append(urls, url)
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" && home != "" {
		dir = filepath.Join(home, ".docker")
	}
	if dir == "" {
		return urls
	}
	meta := filepath.Join(dir, "contexts", "meta")
	names, _ := host.Root{}.ReadDir(meta)
	for _, name := range names {
		data, err := host.Root{}.ReadFile(filepath.Join(meta, name, "meta.json"), maxConfig)
		if err != nil {
			continue
		}
		var m contextMeta
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		url := m.Endpoints["docker"].Host
		if len(url) > 7 && url[:7] == "unix://" && !slices.Contains(urls, url) {
			urls = append(urls, url)
		}
	}
	return urls
}
