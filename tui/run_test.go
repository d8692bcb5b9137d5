package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/teatest/v2"
)

// TestFinalModel runs the program itself, with a source of saved snapshots, and looks at what it ends with.
func TestFinalModel(t *testing.T) {
	tm := teatest.NewTestModel(t, New(t.Context(), Config{Source: Files(example(t, "node1")...)}), teatest.WithInitialTermSize(120, 40))
	teatest.WaitFor(t, tm.Output(), func(out []byte) bool { return bytes.Contains(out, []byte("docker0")) }, teatest.WithDuration(20*time.Second))
	tm.Type(":find cache")
	tm.Send(keyPress("enter"))
	tm.Type("hh")
	tm.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
	tm.Type("q")
	m := tm.FinalModel(t, teatest.WithFinalTimeout(20*time.Second)).(*Model)
	m.View()
	if s := m.scr.plain(); !strings.Contains(s, "▸veth3") || m.w != 80 {
		t.Errorf("it ends with\n%s", s)
	}
}

// broken is a source that breaks the view while it draws, once it is on the screen.
type broken struct {
	Source
	shown *atomic.Bool
}

func (b broken) Watch(Watch) {
	if b.shown.Load() {
		panic("broken")
	}
}

// terminal keeps what is written to it, and presses a key when the alternate screen is on.
type terminal struct {
	bytes.Buffer
	shown atomic.Bool
	keys  io.Writer
}

func (o *terminal) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("\x1b[?1049h")) && !o.shown.Swap(true) {
		go o.keys.Write([]byte("2")) // another view, so something else is on the screen
	}
	return o.Buffer.Write(p)
}

// TestCrashGivesTheTerminalBack: a panic ends the program with an error, off the alternate screen, the cursor visible.
func TestCrashGivesTheTerminalBack(t *testing.T) {
	in, keys := io.Pipe()
	defer keys.Close()
	out := &terminal{keys: keys}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := program(ctx, Config{Source: broken{Files(example(t, "node1")...), &out.shown}, In: in, Out: out}, tea.WithWindowSize(80, 24)).Run()
	if !errors.Is(err, tea.ErrProgramPanic) {
		t.Fatalf("it ends with %v", err)
	}
	s := out.String()
	if on, off := strings.LastIndex(s, "\x1b[?1049h"), strings.LastIndex(s, "\x1b[?1049l"); off < on || on < 0 {
		t.Errorf("the alternate screen is left on: %q", s[max(0, len(s)-300):])
	}
	if strings.LastIndex(s, "\x1b[?25h") < strings.LastIndex(s, "\x1b[?25l") {
		t.Error("the cursor is left hidden")
	}
}

// TestEndFromOutside: the end of its context ends the program without an error.
func TestEndFromOutside(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, keep := io.Pipe()
	defer keep.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := Run(ctx, Config{Source: Files(example(t, "node1")...), In: in, Out: io.Discard}); err != nil {
		t.Error(err)
	}
}
