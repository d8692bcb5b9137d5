package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/render"
)

// Shot is what the view shows of saved snapshots after some keys: for the documentation, and for tests.
type Shot struct {
	W, H  int
	ASCII bool
	// Keys are pressed one after the other; those without a letter have their names in angle brackets: "5<enter>".
	Keys string
}

// Take returns the picture as text, and as SVG.
func (s Shot) Take(ctx context.Context, snaps ...*snapshot.Snapshot) (text, svg string) {
	m := New(ctx, Config{Source: Files(snaps...), ASCII: s.ASCII})
	m.play(tea.WindowSizeMsg{Width: s.W, Height: s.H})
	m.play(sourceMsg{Update{State: stateOf(snaps, false)}, true})
	for _, k := range keyPresses(s.Keys) {
		m.play(k)
	}
	m.View()
	return m.scr.plain(), m.scr.svg()
}

// play gives the model a message, and then those that its commands have ready. Those of an open prompt only make a
// cursor blink, and the source's wait.
func (m *Model) play(msg tea.Msg) {
	_, cmd := m.Update(msg)
	if _, ok := msg.(sourceMsg); ok || m.prompt.open() {
		return
	}
	m.playCmd(cmd)
}

func (m *Model) playCmd(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			m.playCmd(c)
		}
	case tea.QuitMsg:
	default:
		m.play(msg)
	}
}

var namedKeys = map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
	"space": tea.KeySpace, "backspace": tea.KeyBackspace, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd}

// keyPresses reads keys as [Shot] has them.
func keyPresses(keys string) (out []tea.KeyPressMsg) {
	for keys != "" {
		name := keys[:1]
		if i := strings.IndexByte(keys, '>'); keys[0] == '<' && i > 1 {
			name, keys = keys[1:i], keys[i+1:]
		} else {
			keys = keys[1:]
		}
		out = append(out, keyPress(name))
	}
	return out
}

// keyPress is the key of a letter or name, with "ctrl+" and the like in front.
func keyPress(name string) tea.KeyPressMsg {
	k := tea.Key{}
	for {
		mod, rest, ok := strings.Cut(name, "+")
		if !ok || mod == "" {
			break
		}
		k.Mod |= map[string]tea.KeyMod{"ctrl": tea.ModCtrl, "shift": tea.ModShift, "alt": tea.ModAlt}[mod]
		name = rest
	}
	switch c, ok := namedKeys[name]; {
	case name == "space":
		k.Code, k.Text = c, " "
	case ok:
		k.Code = c
	default:
		k.Code = []rune(name)[0]
		if k.Mod == 0 {
			k.Text = name
		}
	}
	return tea.KeyPressMsg(k)
}

// KeyTable is the table of keys for the documentation, in Markdown.
func KeyTable() string {
	var b strings.Builder
	row := func(k, does string) { fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(k, "|", `\|`), does) }
	for i, g := range keys.groups() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "| %s | |\n|---|---|\n", strings.ToLower(g.title))
		for _, k := range g.keys {
			row(k.Help().Key, k.Help().Desc)
		}
	}
	m := New(context.Background(), Config{Source: Files()})
	for i, v := range viewList {
		if own := m.views[i].Keys(); len(own) > 0 {
			fmt.Fprintf(&b, "\n| in %s | |\n|---|---|\n", v.name)
			for _, k := range own {
				row(k.Help().Key, k.Help().Desc)
			}
		}
	}
	fmt.Fprintf(&b, "\n| in the details | |\n|---|---|\n")
	for _, k := range m.details.Keys() {
		row(k.Help().Key, k.Help().Desc)
	}
	return b.String()
}

// ViewTable and CommandTable are the tables of views and commands.
func ViewTable() string {
	var b strings.Builder
	b.WriteString("| | view | shows |\n|---|---|---|\n")
	for i, v := range viewList {
		fmt.Fprintf(&b, "| `%d` | `:%s` | %s |\n", i+1, v.name, v.what)
	}
	return b.String()
}

// CommandTable is the table of commands.
func CommandTable() string {
	var b strings.Builder
	b.WriteString("| command | does |\n|---|---|\n")
	for _, c := range New(context.Background(), Config{Source: Files()}).commands() {
		fmt.Fprintf(&b, "| `:%s` | %s |\n", c.usage(), c.does)
	}
	return b.String()
}

// The size of a character in an SVG picture, in pixels.
const (
	charWidth  = 8.4
	lineHeight = 17.0
)

// svgColors are the colours that the palette has in an SVG picture.
var svgColors = [lastStyle]string{plain: "#d5dbe1", faint: "#7d8791", strong: "#ffffff", head: "#ffffff", nic: "#d2a8ff", bridge: "#56d4dd", wire: "#79c0ff", space: "#d5dbe1",
	work: "#7ee787", good: "#7ee787", warn: "#e3b341", bad: "#ff7b72", lit: "#ffd33d", keyed: "#56d4dd"}

// svg is the screen as a picture.
func (s *screen) svg() string {
	var b strings.Builder
	w, h := float64(s.w)*charWidth+24, float64(s.h)*lineHeight+24
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n", w, h, w, h)
	fmt.Fprintf(&b, "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#14181d\"/>\n")
	for y := range s.h {
		row := s.cells[y*s.w : (y+1)*s.w]
		for x := 0; x < len(row); {
			end := x
			var run strings.Builder
			for end < len(row) && row[end].st == row[x].st {
				if row[end].r != 0 {
					run.WriteRune(row[end].r)
				}
				end++
			}
			svgRun(&b, x, y, end-x, row[x].st, run.String())
			x = end
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func svgRun(b *strings.Builder, x, y, cols int, st style, text string) {
	color := svgColors[st&paletteOnly]
	px, py := 12+float64(x)*charWidth, 12+float64(y)*lineHeight
	if st&reversed != 0 {
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"/>\n", px, py, float64(cols)*charWidth, lineHeight, color)
		color = "#14181d"
	}
	lead := len(text) - len(strings.TrimLeft(text, " "))
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	weight := ""
	if p := st & paletteOnly; p == strong || p == head || p == lit || st&bold != 0 {
		weight = ` font-weight="bold"`
	}
	n := float64(render.TextWidth(text)) * charWidth
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\" fill=\"%s\"%s xml:space=\"preserve\">%s</text>\n", px+float64(lead)*charWidth, py+13, n, color, weight, esc)
}
