package cmd

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestFindSocket: a port that somebody listens on is found on the live host, as in a snapshot of it.
func TestFindSocket(t *testing.T) {
	nettest.NeedsRoot(t)
	h := nettest.New(t)
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Start(t, h, "sleep", "600")
	var l net.Listener
	if err := h.Do(func() (err error) { l, err = net.Listen("tcp4", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	var out, errs bytes.Buffer
	code := Main([]string{"nscope", "--no-engine", "find", "port:" + port}, strings.NewReader(""), &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "listens on tcp port "+port+" in") {
		t.Errorf("exit code %d: %s%s", code, &out, &errs)
	}
}
