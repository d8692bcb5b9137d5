package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	pfilter "github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// What is kept of packets: the newest so many, of about so many bytes.
const (
	mostKept  = 10_000
	mostBytes = 24 << 20
)

// The panes of the view.
const (
	paneList = iota
	paneLayers
	paneHex
	panes
)

// packets is a live capture: a list, the headers and the bytes of the selected packet.
type packets struct {
	env  *env
	feed *feed // nil while nothing is captured
	// ids and names are what is captured, or was; asked is the node that was selected when the view was opened.
	ids, names []string
	asked      string
	opening    bool
	said       string // why it ended, or what it told last
	bad        bool
	graph      atomic.Pointer[topo.Graph]
	places     map[*text.Place]string // ids of the workloads

	kept          []*kept // by time
	bytes         int
	seen, skipped uint64
	dropped       uint64
	frozen        []*kept // what kept was when it was frozen; nil: it is not

	shown  []*kept
	one    bool // all that is shown was seen at one place
	cursor int
	tail   bool // the cursor stays on the newest
	top    int
	page   int
	left   int
	pane   int
	low    int // which of layers and hex is shown where there is no room for both
	layers lines
	hex    lines
	inside *kept // whose layers and hex are made
	filter packetFilter
}

func newPackets(e *env) view {
	return &packets{env: e, tail: true, low: paneLayers, filter: newPacketFilter(), places: map[*text.Place]string{}}
}

var (
	packetFilterKey = bind("/", "filter, as tcpdump has it and beyond: vni 4097, inner …, container web", "/")
	flowKey         = bind("F", "only the flow of this packet; again: all", "F")
	saveKey         = bind("s", "save what is shown as pcapng", "s")
	againKey        = bind("c", "capture again, or what was selected before", "c")
	endKey          = bind("E", "end the capture; what was captured stays", "E")
	clearKey        = bind("C", "forget the packets", "C")
)

func (p *packets) Keys() []key.Binding {
	return []key.Binding{packetFilterKey, flowKey, saveKey, againKey, endKey, clearKey,
		bind("tab", "list, headers, bytes; then the next view", "tab"), bind("G", "to the newest, and stay there", "G", "end")}
}

func (p *packets) Commands() []command {
	return []command{{name: "save", args: "FILE", does: "write the packets that are shown to a pcapng file", run: func(_ *Model, arg string) tea.Cmd { return p.save(arg) }}}
}

func (p *packets) Title() string {
	if len(p.names) == 0 {
		return "packets"
	}
	s := "packets of " + strings.Join(p.names, ", ")
	switch {
	case p.opening:
		return s + ": opening"
	case p.feed == nil:
		s += ", ended"
	}
	return s
}

func (p *packets) Selected() string { return "" }

// Select remembers what was selected in the view that this one is opened from: c captures it.
func (p *packets) Select(id string) bool {
	if p.env.node(id) != nil {
		p.asked = id
	}
	return false
}

// Capture starts on nodes; what was captured before is forgotten.
func (p *packets) Capture(ids []string) tea.Cmd {
	p.stop("")
	if p.env.cfg.Capture == nil || !p.env.state.Live {
		return complain("there is nothing live in saved snapshots: packets need the live host")
	}
	g := p.env.state.Graph
	var targets, names []string
	for _, id := range ids {
		if n := p.env.node(id); n != nil {
			targets, names = append(targets, g.TargetOf(n)), append(names, nodeName(n))
		}
	}
	if len(targets) == 0 {
		return complain("what was selected is gone")
	}
	p.ids, p.names = slices.Clone(ids), names
	p.clear()
	p.graph.Store(g)
	f := newFeed(p.env.ctx)
	f.filter = p.filter.flt
	p.feed, p.opening = f, true
	tap := Tap{
		Graph: g, Targets: targets, Note: func(format string, args ...any) { f.note(oneLine(fmt.Sprintf(format, args...))) },
		Refresh: func(context.Context) (*topo.Graph, error) { return p.graph.Load(), nil },
	}
	open := p.env.cfg.Capture
	return func() tea.Msg {
		s, err := open(f.ctx, tap)
		return tapMsg{f, s, err}
	}
}

// tapMsg is a capture that was opened, or not.
type tapMsg struct {
	feed    *feed
	session Session
	err     error
}

// Leave ends the capture when another view is opened.
func (p *packets) Leave() { p.stop("ended, because the view was left: c captures again") }

// stop ends what is captured; the packets stay.
func (p *packets) stop(why string) {
	p.filter.typing = false
	if p.feed == nil {
		return
	}
	p.feed.cancel()
	p.feed, p.opening = nil, false
	p.said, p.bad = why, false
}

// clear forgets the packets.
func (p *packets) clear() {
	p.kept, p.shown, p.bytes, p.seen, p.skipped, p.dropped, p.said, p.bad = nil, nil, 0, 0, 0, 0, "", false
	p.cursor, p.top, p.tail, p.inside, p.frozen = 0, 0, true, nil, nil
	clear(p.places)
}

func (p *packets) Update(msg tea.Msg) tea.Cmd {
	p.sync()
	switch msg := msg.(type) {
	case stateMsg:
		p.graph.Store(p.env.state.Graph)
	case tapMsg:
		if msg.err == nil {
			msg.feed.run(msg.session) // also one that is not wanted any more: it closes what was opened
		}
		if msg.feed != p.feed {
			return nil
		}
		p.opening = false
		if msg.err != nil {
			p.stop("cannot capture: " + oneLine(msg.err.Error()))
			p.bad = true
			return nil
		}
		return tea.Batch(msg.feed.next, msg.feed.setFilter(msg.feed.filter))
	case feedMsg:
		if msg.feed != p.feed {
			return nil
		}
		p.add(msg)
		if msg.done {
			p.stop("the capture has ended")
			if msg.err != nil {
				p.said, p.bad = "the capture has ended: "+oneLine(msg.err.Error()), true
			}
			return nil
		}
		return msg.feed.next
	case tea.PasteMsg:
		if p.filter.typing {
			return p.filter.update(p, msg)
		}
	}
	return nil
}

// sync freezes what is shown, or thaws it, as the root says.
func (p *packets) sync() {
	switch {
	case p.env.frozen && p.frozen == nil:
		p.frozen = append([]*kept{}, p.kept...)
	case !p.env.frozen && p.frozen != nil:
		p.frozen = nil
		p.refilter()
	}
}

// add takes a batch. The oldest packets give way.
func (p *packets) add(m feedMsg) {
	p.seen, p.skipped, p.dropped = m.seen, m.skipped, m.dropped
	for _, n := range m.notes {
		p.said = n
	}
	for _, k := range m.packets {
		k.ok = p.matches(k)
		i := len(p.kept)
		for i > 0 && p.kept[i-1].Nanos > k.Nanos { // of another namespace, and late
			i--
		}
		p.kept = slices.Insert(p.kept, i, k)
		p.bytes += k.size()
	}
	n := 0
	for n < len(p.kept)-1 && (len(p.kept)-n > mostKept || p.bytes > mostBytes) {
		p.bytes -= p.kept[n].size()
		n++
	}
	p.kept = slices.Delete(p.kept, 0, n)
	if p.frozen == nil {
		p.show()
	}
}

// matches asks the filter about a packet.
func (p *packets) matches(k *kept) bool {
	if p.filter.flt == nil {
		return true
	}
	return p.filter.flt.Match(k.Packet, pfilter.Meta{Dir: pfilter.Dir(k.Dir), Workload: p.workload(k.Place)})
}

// workload is the id of the namespace that a place is in, as filters have it.
func (p *packets) workload(at *text.Place) string {
	id, ok := p.places[at]
	if !ok && at != nil {
		g := p.graph.Load()
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if ns := g.Namespace(n); n.Kind == topo.KindNetns && ns != nil && ns.ID.Short() == at.Netns {
				id = n.ID
			}
		}
		p.places[at] = id
	}
	return id
}

// refilter asks the filter about all packets again.
func (p *packets) refilter() {
	for _, list := range [][]*kept{p.kept, p.frozen} {
		for _, k := range list {
			k.ok = p.matches(k)
		}
	}
	p.show()
}

// show makes the list. The cursor stays on its packet; where that is gone, on the one that took its place.
func (p *packets) show() {
	var at *kept
	if p.cursor < len(p.shown) {
		at = p.shown[p.cursor]
	}
	list := p.kept
	if p.frozen != nil {
		list = p.frozen
	}
	p.shown, p.one = p.shown[:0], true
	before := 0
	for _, k := range list {
		if !k.ok {
			continue
		}
		if at != nil && k.Nanos < at.Nanos {
			before++
		}
		p.shown = append(p.shown, k)
		p.one = p.one && k.Place == p.shown[0].Place
	}
	clear(p.shown[len(p.shown):cap(p.shown)]) // what gave way is not held any more
	switch i := slices.Index(p.shown, at); {
	case p.tail:
		p.cursor = len(p.shown) - 1
	case i >= 0:
		p.cursor = i
	default:
		p.cursor = before
	}
	p.cursor = clamp(p.cursor, 0, max(len(p.shown)-1, 0))
}
