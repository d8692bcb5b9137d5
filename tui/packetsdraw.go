package tui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo/render"
)

// hexWidth is what a line of the hex dump takes.
const hexWidth = 68

// asciiLine is a line about packets without arrows.
func (l *look) asciiLine(s string) string {
	if !l.ascii {
		return s
	}
	return packetASCII.Replace(s)
}

var packetASCII = strings.NewReplacer("→", "->", "▸", ">", "◂", "<", "…", "...", "↔", "<->", "·", "-")

// Draw draws the head, the filter, the list, and below it headers and bytes: both where there is room.
func (p *packets) Draw(cv canvas) {
	p.sync()
	l := p.env.look
	p.drawHead(cv)
	y := 1
	if h := p.filter.height(); h > 0 {
		p.filter.draw(cv.sub(0, y, cv.w, h), l)
		y += h
	}
	rest := cv.sub(0, y, cv.w, cv.h-y)
	if len(p.shown) == 0 {
		p.drawNothing(rest)
		return
	}
	below := 0
	if rest.h >= 8 {
		below = rest.h * 2 / 5
	}
	p.drawList(rest.sub(0, 0, rest.w, rest.h-below))
	if below < 2 {
		return
	}
	low := rest.sub(0, rest.h-below, rest.w, below)
	p.look(p.shown[p.cursor])
	if rest.w >= 2*hexWidth {
		w := rest.w - hexWidth - 1
		p.drawPane(low.sub(0, 0, w, low.h), paneLayers)
		p.drawPane(low.sub(w+1, 0, hexWidth, low.h), paneHex)
		return
	}
	p.drawPane(low, p.low)
}

// drawHead says what is captured, and how much of it.
func (p *packets) drawHead(cv canvas) {
	var facts []string
	if p.seen > 0 {
		facts = append(facts, plural(int(p.seen), "packet", "packets"))
	}
	if n := len(p.shown); n > 0 && uint64(n) != p.seen {
		facts = append(facts, fmt.Sprintf("%d shown", n))
	}
	if p.skipped > 0 {
		facts = append(facts, fmt.Sprintf("%d too many to list", p.skipped))
	}
	if p.dropped > 0 {
		facts = append(facts, fmt.Sprintf("%d dropped by the kernel", p.dropped))
	}
	if p.one && len(p.shown) > 0 && p.shown[0].Place != nil {
		facts = append(facts, "at "+p.shown[0].Place.Name)
	}
	sep := " " + p.env.look.dot + " "
	x := cv.text(1, 0, cv.w-1, strong, p.Title())
	if len(facts) > 0 {
		x = cv.text(x, 0, cv.w-x, plain, sep+strings.Join(facts, sep))
	}
	if p.said != "" {
		st := faint
		if p.bad {
			st = bad
		}
		x = cv.text(x, 0, cv.w-x, st, sep+p.said)
	}
	if hint := sep + "F flow, s save, tab headers and bytes"; len(p.shown) > 0 && x+render.TextWidth(hint) < cv.w {
		cv.put(x, 0, faint, hint)
	}
}

// drawNothing says why there is nothing to see, and what would help.
func (p *packets) drawNothing(cv canvas) {
	e := p.env
	say := func(y int, st style, s string) { cv.text(3, y, cv.w-3, st, e.look.asciiLine(s)) }
	switch {
	case e.cfg.Capture == nil || !e.state.Live:
		say(1, plain, "Nothing is live in saved snapshots, so there are no packets.")
		say(2, faint, "nscope capture -r FILE reads a file of packets.")
	case p.opening:
		say(1, plain, "opening the capture"+e.look.dots)
	case p.feed != nil && len(p.kept) > 0:
		say(1, plain, plural(len(p.kept), "packet does", "packets do")+" not pass the filter"+e.look.dots)
		if !strings.Contains(p.filter.text, "inner") && slices.ContainsFunc(p.kept, func(k *kept) bool { return k.NT > 0 && k.N > 1 }) {
			say(2, faint, "What is inside of tunnels is asked about by inner: /inner icmp")
		}
	case p.feed != nil:
		say(1, plain, "waiting for packets"+e.look.dots)
	case p.asked != "" && e.node(p.asked) != nil:
		say(1, plain, "c captures the packets of "+e.name(p.asked))
	case len(p.ids) > 0:
		say(1, plain, "c captures again")
	default:
		say(1, plain, "c on a container, namespace, link or network captures its packets,")
		say(2, plain, "on a vxlan link those inside the tunnel")
	}
}

// drawList draws the packets around the cursor.
func (p *packets) drawList(cv canvas) {
	p.page = max(cv.h, 1)
	p.top = clamp(p.top, p.cursor-p.page+1, p.cursor)
	p.top = clamp(p.top, 0, max(len(p.shown)-p.page, 0))
	l := p.env.look
	for y := 0; y < cv.h && p.top+y < len(p.shown); y++ {
		i := p.top + y
		line := l.asciiLine(p.shown[i].text(p.one))
		if p.left > 0 {
			r := []rune(line)
			line = string(r[min(p.left, len(r)):])
		}
		cv.text(2, y, cv.w-2, plain, line)
		if i == p.cursor {
			cv.put(0, y, strong, l.cursor)
			cv.restyle(0, y, cv.w, reversed)
		}
	}
}

// look makes the headers and the bytes of a packet.
func (p *packets) look(k *kept) {
	if p.inside == k {
		return
	}
	p.inside = k
	p.layers.top, p.hex.top = 0, 0
	p.layers.set(strings.ReplaceAll("\n"+p.env.look.asciiLine(string(text.Layers(nil, k.Event))), "\n    ", "\n ")[1:])
	p.hex.set(strings.ReplaceAll("\n"+string(text.Hex(nil, k.Data)), "\n    ", "\n ")[1:])
}

// drawPane draws a heading, and headers or bytes.
func (p *packets) drawPane(cv canvas, pane int) {
	l := p.env.look
	text, name := &p.layers, "headers"
	if pane == paneHex {
		text, name = &p.hex, fmt.Sprintf("%d bytes", p.inside.Len)
		if n := len(p.inside.Data); n < p.inside.Len {
			name = fmt.Sprintf("%d of %d bytes", n, p.inside.Len)
		}
	}
	cv.fill(0, 0, cv.w, 1, faint, l.h)
	if p.pane == pane {
		cv.put(1, 0, strong, " "+l.cursor+" "+name+" ")
	} else {
		cv.put(1, 0, plain, " "+name+" ")
	}
	text.draw(cv.sub(0, 1, cv.w, cv.h-1))
}
