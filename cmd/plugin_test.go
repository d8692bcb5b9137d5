package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestPlugin(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", "")
	for _, tc := range []struct{ args, name, rest string }{
		{"/usr/bin/nscope ps", "nscope", "ps"},
		{"nscope find nscope", "nscope", "find nscope"},
		{"/x/docker-nscope nscope ps -o json", "docker nscope", "ps -o json"},
		{"docker-nscope nscope find nscope", "docker nscope", "find nscope"},
		{"docker-nscope ps", "docker nscope", "ps"},
		{"docker-nscope --config /c -D --log-level=debug -H unix:///d.sock nscope ns", "docker nscope", "--engine=unix:///d.sock ns"},
		{"docker-nscope --host=tcp://h:1 nscope", "docker nscope", "--engine=tcp://h:1"},
		{"docker-nscope -c nscope nscope ps", "docker nscope", "ps"},
		{"docker-nscope --config", "docker nscope", "--config"},
		{"kubectl-nscope ps", "kubectl nscope", "ps"},
		{"/x/extcap/nscope --extcap-interfaces --extcap-version=4.0", "nscope", "extcap --extcap-interfaces --extcap-version=4.0"},
		{"nscope --capture --extcap-interface nscope-web --fifo /f", "nscope", "extcap --capture --extcap-interface nscope-web --fifo /f"},
		{"nscope extcap --extcap-interfaces", "nscope", "extcap --extcap-interfaces"},
	} {
		name, rest, done := plugin(strings.Fields(tc.args), nil)
		if name != tc.name || strings.Join(rest, " ") != tc.rest || done {
			t.Errorf("%s: %q %q %v, want %q %q", tc.args, name, rest, done, tc.name, tc.rest)
		}
	}
	if got := os.Getenv("DOCKER_CONFIG"); got != "/c" {
		t.Errorf("DOCKER_CONFIG is %q", got)
	}
	var out bytes.Buffer
	if _, _, done := plugin([]string{"docker-nscope", "docker-cli-plugin-metadata"}, &out); !done {
		t.Error("docker's question is not answered")
	}
	var meta struct{ SchemaVersion, Vendor, Version, ShortDescription string }
	if err := json.Unmarshal(out.Bytes(), &meta); err != nil || meta.SchemaVersion != "0.1.0" || meta.Vendor == "" || meta.Version == "" {
		t.Errorf("%v %s", err, out.Bytes())
	}
}
