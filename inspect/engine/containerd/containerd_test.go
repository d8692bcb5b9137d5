package containerd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

func TestConfigured(t *testing.T) {
	dir := t.TempDir()
	file := `# comment: state = "/no"
version = 2
state = "/run/mine"   # here
[grpc]
  address = '/run/mine/c.sock'
[plugins."io.containerd.grpc.v1.cri"]
  state = "/no"
`
	if err := os.MkdirAll(filepath.Join(dir, "etc/containerd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/containerd/config.toml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args          []string
		state, socket string
	}{
		{[]string{"containerd"}, "/run/mine", "/run/mine/c.sock"},
		{[]string{"containerd", "--state", "/run/k3s/containerd", "-a", "/run/k3s/containerd/containerd.sock"}, "/run/k3s/containerd", "/run/k3s/containerd/containerd.sock"},
		{[]string{"containerd", "--config=/none"}, "/run/containerd", "/run/containerd/containerd.sock"},
	} {
		state, socket := configured(host.Root{Prefix: dir}, c.args)
		if state != c.state || socket != c.socket {
			t.Errorf("%v: %q %q", c.args, state, socket)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add([]byte("state = \"/x\"\n[grpc]\naddress='/y'\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		section(data, "", "state")
		section(data, "grpc", "address")
	})
}
