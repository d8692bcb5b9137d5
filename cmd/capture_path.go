package cmd

import (
	"fmt"
	"time"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/text"
)

// pathSink prints the way of each packet between two ends.
type pathSink struct {
	s       *captureSink
	ways    *capture.Ways
	printed int
}

func (p *pathSink) take(e *text.Event) error {
	p.ways.Take(e)
	return nil
}

// idle tells the ways of packets that were not seen lately; true where some wait.
func (p *pathSink) idle() (bool, error) {
	before := time.Now().Add(-capture.Quiet).UnixNano()
	err := p.tell(func() *capture.Way { return p.ways.Next(before) })
	return p.ways.Waiting(), err
}

func (p *pathSink) tell(next func() *capture.Way) error {
	for w := next(); w != nil; w = next() {
		if p.printed++; p.printed > 1 {
			fmt.Fprintln(p.s.a.out)
		}
		fmt.Fprint(p.s.a.out, w.Text())
		if p.s.f.count > 0 && p.printed >= p.s.f.count {
			return errEnough
		}
	}
	return nil
}
