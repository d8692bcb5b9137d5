package tui

import (
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// The kinds of questions that the prompt asks.
const (
	promptNone = iota
	promptFilter
	promptCommand
)

// prompt is the line in which filters and commands are typed.
type prompt struct {
	m     *Model
	kind  int
	input textinput.Model
	old   string // the filter before, for esc
	// done and recall are the commands that were given, and where in them the arrow keys are.
	done   []string
	recall int
	// words are what completes the word under the cursor, pick the one that tab chose last (-1: none).
	words []string
	stem  string
	pick  int
}

func newPrompt(m *Model) prompt {
	in := textinput.New()
	in.Prompt = ""
	in.CharLimit = 400
	in.SetVirtualCursor(false) // the terminal has its own, and one that blinks keeps the program awake
	return prompt{m: m, input: in, pick: -1}
}

func (p *prompt) open() bool { return p.kind != promptNone }

// ask opens the prompt.
func (p *prompt) ask(kind int, text string) {
	p.kind, p.old, p.recall, p.pick = kind, p.m.env.filter.text, len(p.done), -1
	p.input.SetValue(text)
	p.input.CursorEnd()
	p.input.Focus()
	p.complete()
}

func (p *prompt) close() {
	p.kind = promptNone
	p.input.Blur()
}

func (p *prompt) update(msg tea.Msg) tea.Cmd {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "esc":
			if p.kind == promptFilter {
				p.m.env.filter = parseFilter(p.old)
			}
			p.close()
			return p.m.tell(stateMsg{})
		case "enter":
			kind, text := p.kind, strings.TrimSpace(p.input.Value())
			p.close()
			if kind == promptCommand && text != "" {
				p.done = append(p.done, text)
				return p.m.run(text)
			}
			return nil
		case "tab":
			p.next(1)
			return nil
		case "shift+tab":
			p.next(-1)
			return nil
		case "up", "down":
			if p.kind == promptCommand {
				p.remember(map[string]int{"up": -1, "down": 1}[k.String()])
			}
			return nil
		case "backspace":
			if p.input.Value() == "" {
				p.close()
				return nil
			}
		}
	}
	var cmd tea.Cmd
	before := p.input.Value()
	p.input, cmd = p.input.Update(msg)
	if p.input.Value() == before {
		return cmd
	}
	p.pick = -1
	p.complete()
	if p.kind == promptFilter {
		p.m.env.filter = parseFilter(p.input.Value())
		return tea.Batch(cmd, p.m.tell(stateMsg{}))
	}
	return cmd
}

// remember puts an earlier command into the line.
func (p *prompt) remember(n int) {
	p.recall = clamp(p.recall+n, 0, len(p.done))
	text := ""
	if p.recall < len(p.done) {
		text = p.done[p.recall]
	}
	p.input.SetValue(text)
	p.input.CursorEnd()
}

// complete finds what the last word of a command may become.
func (p *prompt) complete() {
	p.words, p.stem = nil, ""
	if p.kind != promptCommand {
		return
	}
	p.stem, p.words = p.m.completions(p.input.Value())
}

// next puts the next completion into the line; the first time as far as all of them agree.
func (p *prompt) next(n int) {
	if len(p.words) == 0 {
		return
	}
	if p.pick < 0 {
		common := p.words[0]
		for _, w := range p.words[1:] {
			for !strings.HasPrefix(w, common) {
				common = common[:len(common)-1]
			}
		}
		if text := p.stem + common; len(text) > len(p.input.Value()) || len(p.words) == 1 {
			if len(p.words) == 1 {
				text += " "
			}
			p.input.SetValue(text)
			p.input.CursorEnd()
			p.complete()
			return
		}
	}
	if p.pick < 0 && n < 0 {
		p.pick = 0
	}
	p.pick = (p.pick + n + len(p.words)) % len(p.words)
	p.input.SetValue(p.stem + p.words[p.pick])
	p.input.CursorEnd()
}

// draw draws the line, and beside it what may be meant.
func (p *prompt) draw(cv canvas) {
	sign := map[int]string{promptFilter: "/", promptCommand: ":"}[p.kind]
	x := cv.put(0, 0, keyed, sign)
	text, skip := p.visible(cv.w - 2)
	x = cv.put(x, 0, plain, text[skip:])
	x += 3
	if p.kind == promptFilter {
		cv.text(x, 0, cv.w-x, faint, "enter keeps it, esc ends it, !word for all without it")
		return
	}
	for i, w := range p.words {
		st := faint
		if i == p.pick {
			st = plain | reversed
		}
		if x+render.TextWidth(w) > cv.w-4 {
			cv.put(x, 0, faint, p.m.env.look.dots)
			break
		}
		x = cv.put(x, 0, st, w) + 2
	}
}

// visible is the text, and how many of its bytes are left out in front so that the cursor is within w columns.
func (p *prompt) visible(w int) (text string, skip int) {
	text = p.input.Value()
	r := []rune(text)
	at := min(p.input.Position(), len(r))
	for at > 0 && render.TextWidth(p.m.scr.opt.Clean(string(r[:at]))) > w {
		skip += len(string(r[0]))
		r, at = r[1:], at-1
	}
	return text, skip
}

// cursor is the column of the text cursor.
func (p *prompt) cursor(m *Model) (x int, ok bool) {
	if !p.open() || m.h < 2 {
		return 0, false
	}
	text, skip := p.visible(m.w - 2)
	r := []rune(text)
	x = 1 + render.TextWidth(m.scr.opt.Clean(string(r[:min(p.input.Position(), len(r))]))) - render.TextWidth(m.scr.opt.Clean(text[:skip]))
	return clamp(x, 0, max(m.w-1, 0)), true
}
