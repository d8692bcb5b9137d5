package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Key takes a key: the list of faults first, where it is open.
func (l *labs) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	if is(labCancelKey) && l.faults == nil && l.cancel != nil {
		l.cancel()
		l.doing = "cancelling: " + strings.TrimPrefix(l.doing, "cancelling: ")
		return nil, true
	}
	if l.faults != nil {
		switch {
		case is(keys.Open):
			f := l.faults[l.fault]
			l.faults = nil
			return l.breakIt(l.faultOf, f), true
		case is(keys.Back):
			l.faults = nil
		case is(keys.Pane), is(keys.PrevPane):
			l.faults = nil
			return nil, false
		default:
			return nil, moveCursor(msg, &l.fault, len(l.faults), l.page)
		}
		return nil, true
	}
	switch {
	case is(keys.Pane):
		l.reading = !l.reading && l.said.list[0] != ""
		return nil, l.reading
	case is(keys.PrevPane) && l.reading, is(keys.Back) && l.reading:
		l.reading = false
		return nil, true
	case l.reading:
		return nil, l.said.key(msg)
	}
	var does func(labRow) tea.Cmd
	switch {
	case is(labUpKey):
		does = l.up
	case is(labTestKey):
		does = l.test
	case is(labBreakKey):
		does = l.choose
	case is(labRepairKey):
		does = l.repair
	case is(labDownKey):
		does = l.down
	default:
		return nil, moveCursor(msg, &l.cursor, len(l.rows), l.page)
	}
	switch {
	case l.env.cfg.Labs == nil:
		return complain("labs are made on the live host: these are saved snapshots"), true
	case len(l.rows) == 0:
		return nil, true
	}
	return does(l.rows[l.cursor]), true
}

// moveCursor moves a cursor in a list of n, a page is what is seen of it; false where the key is another one.
func moveCursor(msg tea.KeyPressMsg, at *int, n, page int) bool {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	to := *at
	switch {
	case is(keys.Up):
		to--
	case is(keys.Down):
		to++
	case is(keys.PageUp):
		to -= page
	case is(keys.PageDown):
		to += page
	case is(keys.Top):
		to = 0
	case is(keys.Bottom):
		to = n - 1
	default:
		return false
	}
	*at = clamp(to, 0, max(n-1, 0))
	return true
}

// Draw draws the modes, and below or beside them what came of the last thing that was done.
func (l *labs) Draw(cv canvas) {
	l.seen = true
	e := l.env
	x := cv.text(1, 0, cv.w-1, strong, l.Title())
	switch sep := " " + e.look.dot + " "; {
	case e.cfg.Labs == nil:
		cv.text(x, 0, cv.w-x, plain, sep+"labs are made on the live host")
	case l.doing != "":
		x = cv.text(x, 0, cv.w-x, warn, sep+l.doing+" "+l.elapsed()+", esc cancels")
		if step := l.step.Load(); step != nil {
			cv.text(x, 0, cv.w-x, plain, sep+oneLine(*step))
		}
	case l.why != nil:
		cv.text(x, 0, cv.w-x, bad, sep+oneLine(l.why.Error()))
	default:
		text := "enter make, t test, b break, r repair, d take away"
		if at := e.cfg.Labs.Where(); at != "" {
			text = "the engine at " + at + " makes them" + sep + text
		}
		cv.text(x, 0, cv.w-x, faint, sep+text)
	}
	body := cv.sub(0, 1, cv.w, cv.h-1)
	list, out := body, canvas{}
	switch text := l.said.list[0] != ""; {
	case text && body.w >= 160:
		list, out = body.sub(0, 0, body.w/2, body.h), body.sub(body.w/2+1, 0, body.w-body.w/2-1, body.h)
	case text && body.h >= 8:
		low := body.h / 2
		list, out = body.sub(0, 0, body.w, body.h-low), body.sub(0, body.h-low, body.w, low)
	}
	if l.faults != nil {
		l.drawFaults(list)
	} else {
		l.drawModes(list)
	}
	if out.s == nil {
		return
	}
	heading := " what came of it "
	if l.reading {
		heading = " " + e.look.cursor + heading
	}
	out.fill(0, 0, out.w, 1, faint, e.look.h)
	out.put(1, 0, plain, heading)
	l.said.draw(out.sub(0, 1, out.w, out.h-1))
}

func (l *labs) drawModes(cv canvas) {
	const mode, state = 18, 26
	wide := cv.w >= 100
	cv.text(2, 0, mode, head, "MODE")
	cv.text(2+mode+1, 0, state, head, "LAB")
	cv.text(2+mode+state+2, 0, cv.w, head, "WHAT")
	rows := cv.sub(0, 1, cv.w, cv.h-1)
	l.scroll(rows.h, l.cursor, len(l.rows))
	for y := 0; y < rows.h && l.top+y < len(l.rows); y++ {
		r := l.rows[l.top+y]
		rows.text(2, y, mode, plain, r.info.Name)
		if r.lab != nil {
			text, st := r.lab.Condition(), good
			if r.lab.Name != r.info.Name {
				text = r.lab.Name + ": " + text
			}
			if !l.env.cfg.Labs.Own(r.lab) {
				text += ", by an engine"
			}
			if len(r.lab.Faults) > 0 {
				st = bad
			}
			rows.text(2+mode+1, y, state, st, text)
		}
		what := r.info.Summary
		if len(r.info.Needs) > 0 && wide {
			what += " (needs " + strings.Join(r.info.Needs, ", ") + ")"
		}
		rows.text(2+mode+state+2, y, cv.w-2-mode-state-2, faint, what)
		if l.top+y == l.cursor {
			rows.put(0, y, strong, l.env.look.cursor)
			rows.restyle(0, y, rows.w, reversed)
		}
	}
}

func (l *labs) drawFaults(cv canvas) {
	const name = 32
	cv.text(2, 0, cv.w-2, head, "BREAK "+l.faultOf.lab.Name+" WITH (enter; esc leaves it whole)")
	rows := cv.sub(0, 1, cv.w, cv.h-1)
	l.scroll(rows.h, l.fault, len(l.faults))
	for y := 0; y < rows.h && l.top+y < len(l.faults); y++ {
		f := l.faults[l.top+y]
		rows.text(2, y, name, plain, f.ID)
		rows.text(2+name+1, y, cv.w-name-3, faint, f.Symptom)
		if l.top+y == l.fault {
			rows.put(0, y, strong, l.env.look.cursor)
			rows.restyle(0, y, rows.w, reversed)
		}
	}
}

// scroll keeps a cursor on the page.
func (l *labs) scroll(h, at, n int) {
	l.page = max(h, 1)
	l.top = clamp(l.top, at-l.page+1, at)
	l.top = clamp(l.top, 0, max(n-l.page, 0))
}
