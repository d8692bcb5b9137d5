package capture

import (
	"fmt"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
)

// Writer saves events as pcapng: an interface for each link that packets came by, described when its first one comes.
type Writer struct {
	// SnapLen is what frames were cut to, 0 for nothing; Tool is what the interfaces are said to be captured with.
	SnapLen int
	Tool    string

	files *pcap.Files
	ifs   map[ifKey]int
	rec   pcap.Record
	// last is where the last packet came by: most come by the same as the one before.
	last     *text.Place
	lastLink packet.LinkType
	lastID   int
}

// ifKey is an interface of a file: the same link that is named anew is the same.
type ifKey struct {
	name, netns string
	link        uint16
}

func keyOf(p *text.Place, link uint16) ifKey {
	if p == nil {
		return ifKey{link: link}
	}
	return ifKey{p.Name, p.Netns, link}
}

// NewWriter opens the first file.
func NewWriter(f *pcap.Files) (*Writer, error) {
	return &Writer{files: f, ifs: map[ifKey]int{}}, f.Open()
}

// Write takes a packet, which [Writer.Flush] writes.
func (w *Writer) Write(e *text.Event) error {
	if e.Place == nil || e.Place != w.last || e.Link != w.lastLink {
		w.last, w.lastLink, w.lastID = e.Place, e.Link, w.interfaceOf(e)
	}
	w.rec = pcap.Record{Nanos: e.Nanos, Interface: w.lastID, Data: e.Data, Len: e.Len, Dir: pcap.Dir(e.Dir)}
	return w.files.Append(&w.rec)
}

func (w *Writer) interfaceOf(e *text.Event) int {
	k := keyOf(e.Place, uint16(e.Link))
	id, ok := w.ifs[k]
	if !ok {
		i := pcap.Interface{Link: e.Link, SnapLen: uint32(w.SnapLen), OS: w.Tool}
		if e.Place != nil {
			i.Name, i.Description = e.Place.Name, e.Place.Description
		}
		id = w.files.AddInterface(i)
		w.ifs[k] = id
	}
	return id
}

// Buffered is how many bytes wait for Flush; Written how many are in files.
func (w *Writer) Buffered() int  { return w.files.Buffered() }
func (w *Writer) Written() int64 { return w.files.Written() }

// Flush writes what was taken: whoever is killed after it leaves a whole file.
func (w *Writer) Flush() error { return w.files.Flush() }

// Close ends the last file. nanos is the time, 0 for no counters; counts are a session's.
func (w *Writer) Close(nanos int64, counts []Counts) error {
	stats := map[int]pcap.Stats{}
	if nanos > 0 {
		for i := range counts {
			c := &counts[i]
			for _, l := range c.Links {
				s := pcap.Stats{Received: l.Packets, Dropped: c.Dropped}
				if len(c.Links) > 1 && c.Dropped > 0 { // whose they were is not known
					s.DropUnknown, s.Comment = true, fmt.Sprintf("%d dropped by the ring that the links of %s share", c.Dropped, c.Name)
				}
				for k, id := range w.ifs {
					if k.name == l.Place.Name && k.netns == l.Place.Netns {
						stats[id] = s
					}
				}
			}
		}
	}
	return w.files.Close(nanos, stats)
}
