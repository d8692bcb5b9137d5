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
	drained func() time.Time
	printed int
}

func (p *pathSink) take(e *text.Event) error {
	p.ways.Take(e)
	return nil
}

// idle tells the ways of packets that were not seen lately; true where some wait.
func (p *pathSink) idle() (bool, error) {
	before := p.drained().Add(-capture.Quiet).UnixNano()
	err := p.tell(func() *capture.Way { return p.ways.Next(before) })
	return p.ways.Waiting(), err
}

func (p *pathSink) tell(next func() *capture.Way) error {
	if p.enough() { // rings are read to their end
		return errEnough
	}
	for w := next(); w != nil; w = next() {
		p.printed++
		if err := p.say(w); err != nil {
			return err
		}
		if p.enough() {
			return errEnough
		}
	}
	if p.s.w != nil {
		return p.s.flush()
	}
	return nil
}

func (p *pathSink) enough() bool { return p.s.f.count > 0 && p.printed >= p.s.f.count }

// say prints a way, or saves its packets.
func (p *pathSink) say(w *capture.Way) error {
	if p.s.w != nil {
		for i := range w.Sightings {
			p.s.n++
			if err := p.s.save(w.Sightings[i].Event); err != nil {
				return err
			}
		}
		return nil
	}
	if p.printed > 1 {
		fmt.Fprintln(p.s.a.out)
	}
	_, err := fmt.Fprint(p.s.a.out, w.Text())
	return err
}
