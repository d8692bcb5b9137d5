package tui

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// lines scrolls through text.
type lines struct {
	list []string
	top  int
	page int
}

func (p *lines) set(text string) {
	p.list = strings.Split(strings.TrimRight(text, "\n"), "\n")
}

func (p *lines) key(msg tea.KeyPressMsg) bool {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	last := max(len(p.list)-p.page, 0)
	switch {
	case is(keys.Up):
		p.top--
	case is(keys.Down):
		p.top++
	case is(keys.PageUp):
		p.top -= p.page
	case is(keys.PageDown):
		p.top += p.page
	case is(keys.Top):
		p.top = 0
	case is(keys.Bottom):
		p.top = last
	default:
		return false
	}
	p.top = clamp(p.top, 0, last)
	return true
}

func (p *lines) draw(cv canvas) {
	p.page = max(cv.h, 1)
	p.top = clamp(p.top, 0, max(len(p.list)-p.page, 0))
	for y := 0; y < cv.h && p.top+y < len(p.list); y++ {
		s := p.list[p.top+y]
		st := plain
		if s != "" && s[0] != ' ' {
			st = strong
		}
		cv.text(1, y, cv.w-1, st, s)
	}
	if more := len(p.list) - p.top - p.page; more > 0 {
		cv.right(cv.w-1, cv.h-1, 20, strong, fmt.Sprintf(" j: %d more ", more))
	}
}
