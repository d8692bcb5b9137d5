package storage

import (
	"path"
	"strings"
	"testing"
)

func TestFromArgs(t *testing.T) {
	for line, want := range map[string][2]string{
		// Podman 4.3.
		"conmon -b /var/lib/containers/storage/overlay-containers/x/userdata -p /run/containers/storage/overlay-containers/x/userdata/pidfile --exit-command /usr/bin/podman --exit-command-arg --root --exit-command-arg /var/lib/containers/storage --exit-command-arg --runroot --exit-command-arg /run/containers/storage": {DefaultRoot, DefaultRunRoot},
		// Rootless.
		"conmon -b /home/me/.local/share/containers/storage/overlay-containers/x/userdata -p /run/user/1000/containers/overlay-containers/x/userdata/pidfile": {"/home/me/.local/share/containers/storage", "/run/user/1000/containers"},
		// CRI-O: only the run root is in it.
		"conmon -b /run/containers/storage/overlay-containers/x/userdata -c x -p /run/containers/storage/overlay-containers/x/userdata/pidfile": {DefaultRoot, DefaultRunRoot},
		"conmon --version": {"", ""},
	} {
		root, run := fromArgs(strings.Fields(line))
		if root != want[0] || run != want[1] {
			t.Errorf("%s: %q %q", line, root, run)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte(`[{"id":"a","names":["x"],"metadata":"{\"image-name\":\"i\"}"},{"id":"../x"},{"id":".."}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range ParseList(data) {
			if c.ID == "" || path.Clean("/a/"+c.ID) == "/" || strings.Contains(c.ID, "/") || c.ID == ".." {
				t.Errorf("%q", c.ID)
			}
		}
	})
}
