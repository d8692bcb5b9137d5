package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/nscope/nscope/capture/flow"
	"github.com/nscope/nscope/capture/text"
)

// flowSink prints conversations or pairs in place of packets: at the end, and on a terminal as they are every second.
type flowSink struct {
	s     *captureSink
	table flow.Table
	live  bool
	last  time.Time
	lines int // of the last picture, above the cursor
}

// flowSink is nil where packets are asked for.
func (a *app) flowSink(s *captureSink) *flowSink {
	if !s.f.flows && !s.f.stats {
		return nil
	}
	return &flowSink{s: s}
}

// refreshEvery is how often the picture is made anew.
const refreshEvery = time.Second

func (p *flowSink) take(e *text.Event) error {
	p.s.n++
	p.table.Add(e)
	if p.s.f.count > 0 && p.s.n >= p.s.f.count {
		return errEnough
	}
	return nil
}

// idle is true where there is a picture to make anew.
func (p *flowSink) idle() (bool, error) {
	if !p.live {
		return false, nil
	}
	now := time.Now()
	if now.Sub(p.last) < refreshEvery {
		return true, nil
	}
	p.last = now
	rows := 20
	if f, ok := file(p.s.a.out); ok {
		if _, h, err := term.GetSize(int(f.Fd())); err == nil {
			rows = max(h-4, 3)
		}
	}
	var b bytes.Buffer
	if err := p.write(&b, p.table.Report(true), rows); err != nil {
		return true, err
	}
	// Notes below rows make it longer than its rows: what does not fit is left out.
	lines := strings.SplitAfter(b.String(), "\n")
	lines = lines[:min(len(lines)-1, rows+2)]
	_, err := fmt.Fprint(p.s.a.out, p.up(), strings.Join(lines, ""))
	p.lines = len(lines)
	return true, err
}

// up takes the last picture away.
func (p *flowSink) up() string {
	if p.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", p.lines)
}

// write writes a report, n rows of it (0: all).
func (p *flowSink) write(b *bytes.Buffer, r *flow.Report, n int) error {
	t := r.FlowTable(n)
	if p.s.f.stats {
		t = r.PairTable(n)
	}
	fmt.Fprintln(b, r.Summary())
	if len(t.Rows) > 0 {
		if err := t.Write(b, p.s.a.renderOptions()); err != nil {
			return err
		}
	}
	if l := r.Left(); l != "" {
		fmt.Fprintln(b, l)
	}
	return nil
}

// end prints all.
func (p *flowSink) end() error {
	r := p.table.Report(false)
	if p.s.a.output == "json" {
		if p.s.f.stats {
			r.Flows = nil
		} else {
			r.Pairs = nil
		}
		out, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = p.s.a.out.Write(append(out, '\n'))
		return err
	}
	var b bytes.Buffer
	b.WriteString(p.up())
	p.lines = 0
	if err := p.write(&b, r, 0); err != nil {
		return err
	}
	_, err := p.s.a.out.Write(b.Bytes())
	return err
}
