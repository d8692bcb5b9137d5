package oci

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

// Config is the part of config.json that is of use here.
type Config struct {
	Hostname    string            `json:"hostname"`
	Annotations map[string]string `json:"annotations"`
	Linux       struct {
		CgroupsPath string      `json:"cgroupsPath"`
		Namespaces  []Namespace `json:"namespaces"`
	} `json:"linux"`
}

// Namespace is one that the container is given: a new one where Path is empty.
type Namespace struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

// MaxConfig bounds config.json. A seccomp profile makes it some 20 KB.
const MaxConfig = 8 << 20

// Parse parses config.json.
func Parse(data []byte) (*Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// Read reads config.json of a bundle.
func Read(root host.Root, bundle string) (*Config, error) {
	data, err := root.ReadFile(path.Join(bundle, "config.json"), MaxConfig)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// Network tells which network namespace the container is given: an existing one by its path, a new one (own), or, where
// both are empty, that of the runtime, which is the host's.
func (c *Config) Network() (path string, own bool) {
	for _, ns := range c.Linux.Namespaces {
		if ns.Type == "network" {
			return ns.Path, ns.Path == ""
		}
	}
	return "", false
}

// ProcPID returns the pid of a path /proc/<pid>/ns/net, 0 for any other: so a runtime names the namespace of
// another container.
func ProcPID(file string) int {
	rest, ok := strings.CutPrefix(file, "/proc/")
	if !ok {
		return 0
	}
	pid, _, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(pid)
	return n
}

// ReadPID reads a file with a pid, 0 where there is none.
func ReadPID(root host.Root, file string) int {
	data, err := root.ReadFile(file, 64)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
