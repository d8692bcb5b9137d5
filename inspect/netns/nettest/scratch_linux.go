package nettest

import (
	"os"
	"os/exec"
	"syscall"
)

// ScratchDir makes a temporary folder that everybody may enter. It is gone when remove returns, and also when the test
// process ends in any other way: a shell waits for the end of a pipe that only the process holds.
func ScratchDir() (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp("", "nscope-test-*"); err != nil {
		return "", nil, err
	}
	sh := exec.Command("sh", "-c", `cat >/dev/null; rm -rf "$0"`, dir)
	// A session of its own: ctrl-C in the terminal must not end it before its work.
	sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := sh.StdinPipe()
	if err == nil {
		err = sh.Start()
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() {
		pipe.Close()
		_ = sh.Wait()
	}, nil
}
