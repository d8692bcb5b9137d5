package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// topology is the view of how everything is wired.
type topology struct {
	env   *env
	text  lines
	width int
}

func newTopology(e *env) view { return &topology{env: e} }

func (t *topology) Title() string                                 { return "topology" }
func (t *topology) Keys() []key.Binding                           { return nil }
func (t *topology) Key(msg tea.KeyPressMsg) (cmd tea.Cmd, _ bool) { return nil, t.text.key(msg) }
func (t *topology) Selected() string                              { return "" }
func (t *topology) Select(string) bool                            { return false }

func (t *topology) Update(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(stateMsg); ok {
		t.width = 0
	}
	return nil
}

func (t *topology) Draw(cv canvas) {
	if t.width != cv.w {
		t.width = cv.w
		var b strings.Builder
		_ = render.Tree(&b, t.env.state.Graph, render.Options{Width: cv.w - 1, ASCII: t.env.look.ascii, Wide: t.env.wide})
		t.text.set(b.String())
	}
	t.text.draw(cv)
}
