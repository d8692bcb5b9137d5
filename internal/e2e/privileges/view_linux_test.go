package privileges

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestImageOpensTheView: without a command, on a terminal, the image opens the interactive view of the host, and q ends it.
func TestImageOpensTheView(t *testing.T) {
	nettest.NeedsTool(t, "script", "stty")
	d := newDock(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	line := "stty rows 40 cols 120; exec /usr/bin/docker run -it --rm " + strings.Join(enough, " ") + " " + tag
	cmd := exec.CommandContext(ctx, "script", "-qec", line, "/dev/null") // its own terminal
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+d.node.Socket, "DOCKER_CONFIG=/nonexistent", "TERM=xterm-256color", "SHELL=/bin/sh")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	buf := make([]byte, 64<<10)
	for quit := false; ; {
		n, err := out.Read(buf)
		seen.Write(buf[:n])
		if !quit && bytes.Contains(seen.Bytes(), []byte("[1 topology]")) && bytes.Contains(seen.Bytes(), []byte("docker0")) {
			quit = true
			if _, err := in.Write([]byte("q")); err != nil {
				t.Error(err)
			}
		}
		if err != nil {
			if !quit {
				t.Errorf("the view does not open: %q", seen.String())
			}
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %q", err, seen.String())
	}
}
