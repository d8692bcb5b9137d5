package capture

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
)

// Writer saves events as pcapng: an interface for each link that packets came by, described when its first one comes.
type Writer struct {
	// NoNames leaves out the comments, which say who the two ends are: at the first packet of a conversation.
	NoNames bool
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
	// known are conversations, by hash; raw those of frames that are not decoded.
	known, raw [knownFlows]uint64
	pkt        packet.Packet
	decoder    packet.Decoder
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

// knownFlows is how many conversations are remembered, for comments: of two that fall on the same place, the later one is.
const knownFlows = 1 << 13

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
	if !w.NoNames {
		w.rec.Comment = w.comment(e, w.lastID)
	}
	switch {
	case e.Drop == 0:
	case !e.DropShared:
		w.rec.Drop = e.Drop
	default: // the format's count is of one interface
		w.rec.Comment = strings.TrimPrefix(fmt.Sprintf("%s; %d packets lost before, of the interfaces of this namespace", w.rec.Comment, e.Drop), "; ")
	}
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

// comment says who the ends of a conversation are, at its first packet on an interface; "" else, and where no name is known.
func (w *Writer) comment(e *text.Event, id int) string {
	if e.Place == nil || e.Place.Names == nil && e.Place.Inside == nil {
		return ""
	}
	if e.N == 0 { // not decoded: once for what looks like a new conversation
		if !w.fresh(e.Data, id) {
			return ""
		}
		w.decoder.Decode(&w.pkt, e.Data, e.Len, e.Link)
		here := *e
		here.Packet = &w.pkt
		e = &here
	}
	h := e.Inner()
	if e.N == 0 || h.Version == 0 {
		return ""
	}
	from, to := 12, 4
	if h.Version == 6 {
		from, to = 8, 16
	}
	src, dst := e.Bytes(h.Net+from, h.Net+from+to), e.Bytes(h.Net+from+to, h.Net+from+2*to)
	// The same for both directions.
	k := maphash.Bytes(seed, src)*uint64(h.SrcPort+1) + maphash.Bytes(seed, dst)*uint64(h.DstPort+1) + uint64(h.Proto)<<32 + uint64(id)<<40 + uint64(e.Tunnel().VNI)
	at := &w.known[(k^k>>29)%knownFlows]
	if *at == k {
		return ""
	}
	*at = k
	a, b := e.Name(h.Src), e.Name(h.Dst)
	if a == "" && b == "" {
		return ""
	}
	return cmp.Or(a, h.Src.String()) + " → " + cmp.Or(b, h.Dst.String())
}

// fresh tells whether an undecoded frame has other addresses and ports, where IPv4 has them behind Ethernet without a tag, than those of late.
func (w *Writer) fresh(b []byte, id int) bool {
	if len(b) < 38 {
		return false
	}
	k := maphash.Bytes(seed, b[26:38]) + uint64(b[23])<<8 + uint64(id)<<16
	at := &w.raw[(k^k>>29)%knownFlows]
	if *at == k {
		return false
	}
	*at = k
	return true
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
