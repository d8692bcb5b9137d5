package cmd

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
)

// errEnough ends a capture that has what it was asked for.
var errEnough = errors.New("enough")

// sampleRate is how many packets a second are shown of everything, on a terminal.
const sampleRate = 100

// captureSink takes packets: to lines, JSON or a file, up to a limit.
type captureSink struct {
	a       *app
	f       *captureFlags
	lines   text.Lines
	buf     []byte
	n       int
	w       *capture.Writer
	sampled bool
	second  int64
	inSec   int
	hidden  int
	status  bool
	last    time.Time
	lastN   int
	noted   func()        // after something was told between lines; nil for nothing to do
	dropped func() uint64 // nil for a file that is read
	// order holds the lines of several namespaces until those of before drained() can be said; nil where they come in their order.
	order    *lineOrder
	drained  func() time.Time
	released time.Time
}

func (f *captureFlags) every() bool { return f.all }

// payload is what is done with that of packets.
func (f *captureFlags) payload() capture.Payload {
	switch {
	case f.headers:
		return capture.CutPayload
	case f.noPayload:
		return capture.BlankPayload
	}
	return capture.KeepPayload
}

func (a *app) captureSink(f *captureFlags, names []pcap.Name) (*captureSink, error) {
	s := &captureSink{a: a, f: f}
	s.lines.PlaceWidth = 16
	if f.write == "" {
		return s, nil
	}
	files := &pcap.Files{Path: f.write, Section: pcap.Section{OS: "Linux", Application: "nscope " + Version()}, Names: names, Bytes: f.fileBytes * 1e6, Every: f.fileTime, Keep: f.files}
	if f.write == "-" {
		if a.isTerminal(a.out) {
			return nil, usagef("-w -: packets would be written to the terminal")
		}
		files.Out = a.out
	}
	var err error
	if s.w, err = capture.NewWriter(files); err != nil {
		return nil, err
	}
	s.w.SnapLen, s.w.Tool, s.w.NoNames = f.snapLen, "nscope "+Version(), f.noNames
	return s, nil
}

// flushAt is how much is said before it is written, while more comes.
const flushAt = 64 << 10

func (s *captureSink) take(e *text.Event) error {
	if s.f.count > 0 && s.n >= s.f.count {
		return errEnough
	}
	if s.sampled && !s.sample(e) {
		return nil
	}
	s.n++
	s.f.payload().Apply(e.Packet)
	if err := s.put(e); err != nil {
		return err
	}
	if s.f.count > 0 && s.n >= s.f.count {
		return errEnough
	}
	return nil
}

// sample lets so many of a second through.
func (s *captureSink) sample(e *text.Event) bool {
	if sec := e.Nanos / 1e9; sec != s.second {
		s.second, s.inSec = sec, 0
	}
	if s.inSec++; s.inSec > sampleRate {
		s.hidden++
		return false
	}
	return true
}

func (s *captureSink) put(e *text.Event) error {
	if s.w != nil {
		return s.save(e)
	}
	b := &s.buf
	if s.order != nil {
		b = &s.order.bytes
	}
	from := len(*b)
	if s.a.output == "json" {
		var err error
		if *b, err = s.lines.JSON(*b, e); err != nil {
			return err
		}
	} else {
		*b = s.lines.Append(*b, e)
		if s.a.verbose {
			*b = text.Layers(*b, e)
		}
		if s.f.hex {
			*b = text.Hex(*b, e.Data)
		}
	}
	if s.order != nil {
		s.order.add(e.Nanos, from)
	} else if len(s.buf) >= flushAt {
		return s.flush()
	}
	return nil
}

// releaseEvery is how often waiting lines are looked through: rings are ready far more often.
const releaseEvery = 20 * time.Millisecond

// idle is called when no packet is ready; true where lines wait.
func (s *captureSink) idle() (bool, error) {
	if s.order == nil {
		return false, s.flush()
	}
	if now := time.Now(); now.Sub(s.released) >= releaseEvery {
		s.released = now
		s.buf = s.order.release(s.buf, s.drained().UnixNano())
	}
	return len(s.order.lines) > 0, s.flush()
}

// save writes to the file.
func (s *captureSink) save(e *text.Event) error {
	if err := s.w.Write(e); err != nil {
		return err
	}
	if s.f.maxBytes > 0 && s.w.Written()+int64(s.w.Buffered()) >= s.f.maxBytes {
		return errEnough
	}
	if s.w.Buffered() >= flushAt {
		return s.flush()
	}
	return nil
}

// flush writes what was said, and on a terminal how far a file is.
func (s *captureSink) flush() error {
	if s.w != nil {
		if err := s.w.Flush(); err != nil {
			return err
		}
		s.progress()
		return nil
	}
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.a.out.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// progressEvery is how often the line of progress is said anew.
const progressEvery = 500 * time.Millisecond

func (s *captureSink) progress() {
	now := time.Now()
	since := now.Sub(s.last)
	if since < progressEvery || !s.a.isTerminal(s.a.err) {
		return
	}
	line := fmt.Sprintf("%d packets", s.n)
	if !s.last.IsZero() {
		line += fmt.Sprintf(", %.0f/s", float64(s.n-s.lastN)/since.Seconds())
	}
	if s.dropped != nil {
		line += fmt.Sprintf(", %d dropped", s.dropped())
	}
	s.last, s.lastN, s.status = now, s.n, true
	fmt.Fprintf(s.a.err, "\r%s, %s\x1b[K", line, text.Size(uint64(s.w.Written())))
}

func (s *captureSink) clearStatus() {
	if s.status {
		fmt.Fprint(s.a.err, "\r\x1b[K")
		s.status = false
	}
}

// end writes the rest, and what a session has counted. err is what ended the capture.
func (s *captureSink) end(err error, nanos int64, counts []capture.Counts) error {
	s.clearStatus()
	if errors.Is(err, errEnough) {
		err = nil
	}
	if s.order != nil {
		s.buf = s.order.release(s.buf, math.MaxInt64)
	}
	if e := s.flush(); err == nil {
		err = e
	}
	s.clearStatus()
	if s.w != nil {
		if e := s.w.Close(nanos, counts); err == nil {
			err = e
		}
	}
	if s.hidden > 0 {
		fmt.Fprintf(s.a.err, "%8d packets were not shown\n", s.hidden)
	}
	return err
}
