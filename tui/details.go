package tui

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// detailsName is the place of the details, which are no tab of their own; gapsID shows the gaps there.
const (
	detailsName = "details"
	gapsID      = "gaps"
)

// details is everything about one node, as `nscope show` has it.
type details struct {
	env   *env
	id    string
	text  lines
	width int
}

func newDetails(e *env) *details { return &details{env: e} }

func (d *details) Title() string                                 { return d.env.name(d.id) }
func (d *details) Keys() []key.Binding                           { return nil }
func (d *details) Key(msg tea.KeyPressMsg) (cmd tea.Cmd, _ bool) { return nil, d.text.key(msg) }
func (d *details) Select(string) bool                            { return false }

func (d *details) Selected() string {
	if d.env.node(d.id) == nil {
		return ""
	}
	return d.id
}

func (d *details) Update(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(stateMsg); ok {
		d.width = 0
	}
	return nil
}

func (d *details) show(id string) { d.id, d.width, d.text.top = id, 0, 0 }

func (d *details) Draw(cv canvas) {
	d.env.seen.Node = d.id
	if d.width != cv.w {
		d.width = cv.w
		d.text.set(d.render(cv.w - 1))
	}
	d.text.draw(cv)
}

func (d *details) render(w int) string {
	e := d.env
	if d.id == gapsID {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n", plural(len(e.state.Graph.Gaps), "gap: what could not be read", "gaps: what could not be read"))
		for i := range e.state.Graph.Gaps {
			fmt.Fprintf(&b, "  %s\n", gapWords(&e.state.Graph.Gaps[i]))
		}
		return b.String()
	}
	n := e.node(d.id)
	if n == nil {
		return "it is gone\n"
	}
	var b strings.Builder
	if err := render.Show(&b, e.state.Graph, n, render.Options{Width: w, ASCII: e.look.ascii, Wide: e.wide, Full: e.wide}); err != nil {
		return err.Error()
	}
	return b.String()
}
