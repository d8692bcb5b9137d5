package netns_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns"
)

func TestReadIn(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc/hosts", link); err != nil {
		t.Fatal(err)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/hosts", "etc/hosts", link} {
		if b, err := netns.ReadIn("/proc", os.Getpid(), name); err != nil || string(b) != string(hosts) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := netns.ReadIn("/proc", os.Getpid(), dir+"/none"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, netns.ErrGone) {
		t.Errorf("no such file: %v", err)
	}
	if _, err := netns.ReadIn("/proc", os.Getpid(), dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := netns.ReadIn("/proc", gone.Process.Pid, "/etc/hosts"); !errors.Is(err, netns.ErrGone) {
		t.Errorf("a process that ended: %v", err)
	}
}
