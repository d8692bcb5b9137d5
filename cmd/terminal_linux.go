package cmd

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the view tells its keeper; other bytes are what the Go runtime says of a crash.
const (
	viewAway = 1 // the terminal is the shell's meanwhile
	viewBack = 2
	viewOver = 3 // it was given back
)

// leaveScreen ends what a view may have asked the terminal for: colours, mouse, pasted text and keys told apart, the hidden cursor, the alternate
// screen (ECMA-48, xterm's ctlseqs).
const leaveScreen = "\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[>4m\x1b[<u\x1b[?2026l\x1b[?25h\x1b[?1049l"

// keepTerminal starts a process that gives the terminal back as it is now should this one end without doing so: killed, or by a crash in
// whatever goroutine. away is told when the shell gets the terminal and when it is back; over, when all is done.
func keepTerminal(tty *os.File) (away func(bool), over func()) {
	away, over = func(bool) {}, func() {}
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return away, over
	}
	var state bytes.Buffer
	_ = binary.Write(&state, binary.NativeEndian, t) // into memory
	r, w, err := os.Pipe()
	if err != nil {
		return away, over
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"nscope", terminalCommand, hex.EncodeToString(state.Bytes())}, Dir: "/", Stdin: r, Stdout: tty, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // ctrl-Z and ctrl-C are not its own
	}
	// In this order: a keeper that hears nothing more takes the view for dead.
	if debug.SetCrashOutput(w, debug.CrashOptions{}) != nil {
		w.Close()
		return away, over
	}
	if cmd.Start() != nil {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		w.Close()
		return away, over
	}
	say := func(b byte) { _, _ = w.Write([]byte{b}) }
	away = func(yes bool) {
		if yes {
			say(viewAway)
		} else {
			say(viewBack)
		}
	}
	return away, func() {
		say(viewOver)
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		w.Close()
		_ = cmd.Wait()
	}
}

// giveBack waits for the end of the view, and gives the terminal back where the view did not.
func giveBack(state string, view io.Reader, tty *os.File, says io.Writer) error {
	// In the background of the terminal the kernel would stop it for what it is there for (SIGTTOU).
	signal.Ignore(syscall.SIGTTOU, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP, syscall.SIGPIPE)
	raw, err := hex.DecodeString(state)
	if err != nil {
		return err
	}
	var t unix.Termios
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, &t); err != nil {
		return err
	}
	said, err := io.ReadAll(view)
	if err != nil {
		return err
	}
	here := true
	var crash []byte
	for _, b := range said {
		switch b {
		case viewOver:
			return nil
		case viewAway, viewBack:
			here = b == viewBack
		default:
			crash = append(crash, b)
		}
	}
	if here {
		if _, err := io.WriteString(tty, leaveScreen); err != nil {
			return err
		}
		if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &t); err != nil {
			return err
		}
	}
	_, err = says.Write(crash)
	return err
}
