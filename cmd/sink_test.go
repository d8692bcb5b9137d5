package cmd

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// full is a standard output that takes so many bytes.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left < len(p) {
		n := f.left
		f.left = 0
		return n, errors.New("no space left on device")
	}
	f.left -= len(p)
	return len(p), nil
}

// TestLostOutput: a command whose answer could not be written says so and fails, in every format.
func TestLostOutput(t *testing.T) {
	const from = "../docs/examples/node1.json.zst"
	for _, args := range []string{
		"ps", "ps -o json", "ps -o yaml", "ps -o name", "ns", "ns -o name", "topo", "topo -o name", "topo -o json", "topo -o svg", "topo -o dot",
		"diff ../docs/examples/node1.json.zst ../docs/examples/node2.json.zst", "diff ../docs/examples/node1.json.zst ../docs/examples/node2.json.zst -o name",
		"show cache", "show cache -o name", "find cache", "find cache -o wide", "find cache -o name", "snapshot -", "version", "version -o name", "man", "completion bash", "--help",
	} {
		t.Run(args, func(t *testing.T) {
			words, fine, failed := append([]string{"nscope", "--from", from}, strings.Fields(args)...), exitOK, exitFailed
			if strings.HasPrefix(args, "diff") {
				words, fine, failed = append([]string{"nscope"}, strings.Fields(args)...), exitFailed, exitUsage
			}
			var ok, errw bytes.Buffer
			if code := Main(words, nil, &ok, &errw); code != fine || ok.Len() == 0 {
				t.Fatalf("even with room: code %d, %s", code, errw.String())
			}
			errw.Reset()
			if code := Main(words, nil, &full{ok.Len() - 1}, &errw); code != failed || !strings.Contains(errw.String(), "no space left") {
				t.Errorf("code %d, says %q", code, errw.String())
			}
		})
	}
}
