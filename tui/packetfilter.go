package tui

import (
	"errors"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/capture"
	pfilter "github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/topo/render"
)

// packetFilter is the filter line: what is typed is judged at once, and what is right is shown at once. The capture itself has it once
// enter keeps it.
type packetFilter struct {
	input  textinput.Model
	typing bool
	old    string // before the typing, for esc
	text   string // the last that was right
	flt    *pfilter.Filter
	err    error   // of what is typed
	before *string // the filter before a flow was followed
}

func newPacketFilter() packetFilter {
	in := textinput.New()
	in.Prompt = ""
	in.CharLimit = 400
	in.SetVirtualCursor(false) // it is drawn here, and does not blink
	return packetFilter{input: in}
}

// begin begins to type.
func (f *packetFilter) begin() {
	f.typing, f.old, f.err = true, f.text, nil
	f.input.SetValue(f.text)
	f.input.CursorEnd()
	f.input.Focus()
}

func (f *packetFilter) end() {
	f.typing, f.err = false, nil
	f.input.Blur()
}

// update takes what is typed.
func (f *packetFilter) update(p *packets, msg tea.Msg) tea.Cmd {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "esc":
			f.end()
			return f.set(p, f.old)
		case "enter":
			if f.err != nil {
				return nil // the line says why
			}
			f.end()
			return f.set(p, f.text)
		case "tab", "shift+tab":
			return nil
		}
	}
	before := f.input.Value()
	var cmd tea.Cmd
	f.input, cmd = f.input.Update(msg)
	if text := f.input.Value(); text != before {
		f.try(p, text)
	}
	return cmd
}

// try judges a text, and shows what passes it where it is right.
func (f *packetFilter) try(p *packets, text string) {
	text = strings.TrimSpace(text)
	var flt *pfilter.Filter
	f.err = nil
	if text != "" {
		flt, f.err = pfilter.Parse(text, capture.FilterNames(p.env.state.Graph))
	}
	if f.err == nil {
		f.text, f.flt, f.before = text, flt, nil
		p.refilter()
	}
}

// set has a filter that is right, for the capture too.
func (f *packetFilter) set(p *packets, text string) tea.Cmd {
	f.try(p, text)
	if f.err != nil { // a name in it is gone
		err := f.err
		f.err = nil
		return complain(oneLine(err.Error()))
	}
	if p.feed == nil {
		return nil
	}
	return p.feed.setFilter(f.flt)
}

// height is how many lines it takes.
func (f *packetFilter) height() int {
	switch {
	case f.typing && f.err != nil:
		return 2
	case f.typing || f.text != "":
		return 1
	}
	return 0
}

// draw draws the line, and below it the place of a mistake and what is wrong.
func (f *packetFilter) draw(cv canvas, l *look) {
	if !f.typing {
		if f.text != "" {
			x := cv.put(1, 0, keyed, "/")
			x = cv.text(x, 0, cv.w-x-20, good, f.text)
			cv.text(x+2, 0, cv.w-x-2, faint, "esc ends the filter")
		}
		return
	}
	st, word := good, "ok"
	switch {
	case f.err != nil:
		st, word = bad, "no"
	case strings.TrimSpace(f.input.Value()) == "":
		st, word = plain, "all"
	}
	word += strings.Repeat(" ", 4-len(word))
	const from = 6 // sign, word, slash
	cv.put(1, 0, st|reversed, strings.TrimRight(word, " "))
	cv.put(from-1, 0, keyed, "/")
	room := max(cv.w-from-1, 1)
	value := []rune(f.input.Value())
	at := min(f.input.Position(), len(value))
	skip := 0
	for skip < at && render.TextWidth(cv.s.opt.Clean(string(value[skip:at]))) >= room {
		skip++
	}
	cv.text(from, 0, room, st, string(value[skip:]))
	cv.restyle(from+render.TextWidth(cv.s.opt.Clean(string(value[skip:at]))), 0, 1, reversed)
	var e *pfilter.Error
	switch {
	case f.err == nil:
		if x := from + render.TextWidth(cv.s.opt.Clean(string(value[skip:]))) + 2; x < cv.w {
			cv.text(x, 0, cv.w-x, faint, "enter keeps it, esc leaves it as it was")
		}
	case errors.As(f.err, &e):
		pos := clamp(e.Pos, 0, len(e.Expr))
		lead := len(f.input.Value()) - len(strings.TrimLeft(f.input.Value(), " \t"))
		before := []rune(f.input.Value()[:min(lead+pos, len(f.input.Value()))])
		col := from
		if len(before) > skip {
			col += render.TextWidth(cv.s.opt.Clean(string(before[skip:])))
		}
		text := "^ " + e.Text
		if w := render.TextWidth(cv.s.opt.Clean(text)); col+w > cv.w { // what is wrong stands before the place
			if left := e.Text + " ^"; render.TextWidth(cv.s.opt.Clean(left)) <= col {
				cv.right(col+1, 1, col, bad, left)
				return
			}
		}
		cv.text(col, 1, cv.w-col, bad, text)
	default:
		cv.text(from, 1, cv.w-from, bad, oneLine(f.err.Error()))
	}
}
