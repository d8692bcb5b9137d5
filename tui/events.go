package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// mostEvents is how many events are kept: the newest.
const mostEvents = 5000

// events lists what changed, the newest first. The cursor stays with the newest as long as it is on it.
type events struct {
	*table
	list  []Event // the oldest first
	first int     // number of list[0] since the start
	ids   map[string]string
}

func newEvents(e *env) view {
	v := &events{ids: map[string]string{}}
	columns := []column{
		{name: "TIME", least: 8}, {name: "KIND", rank: 2, least: 9}, {name: "WHAT", rank: 1, least: 20},
	}
	v.table = newTable(e, "event", "events", columns, v.rows)
	return v
}

func (v *events) rows(e *env) []tableRow {
	out := make([]tableRow, 0, len(v.list))
	clear(v.ids)
	layout := "15:04:05"
	if n := len(v.list); e.wide || n > 0 && v.list[n-1].At.Sub(v.list[0].At) > 20*time.Hour {
		layout = "2006-01-02 15:04:05"
	}
	if e.wide {
		layout += ".000"
	}
	for i := len(v.list) - 1; i >= 0; i-- {
		ev := &v.list[i]
		id := "event " + strconv.Itoa(v.first+i)
		v.ids[id] = ev.Node
		out = append(out, tableRow{id: id, cells: []string{ev.At.Local().Format(layout), ev.Kind, e.arrows([]string{ev.Text})[0]}})
	}
	return out
}

// Update takes events in.
func (v *events) Update(msg tea.Msg) tea.Cmd {
	more, ok := msg.(eventsMsg)
	if !ok {
		return v.table.Update(msg)
	}
	v.list = append(v.list, more...)
	if n := len(v.list) - mostEvents; n > 0 {
		v.list = slices.Delete(v.list, 0, n)
		v.first += n
	}
	if v.cursor == 0 && v.sort < 0 {
		v.lastID = "" // the newest is another one now
	}
	v.refresh()
	return nil
}

// Selected is the node that the event is about.
func (v *events) Selected() string { return v.ids[v.table.Selected()] }

// Select puts the cursor on the newest event of a node.
func (v *events) Select(id string) bool {
	for _, id := range v.env.related(id) {
		if i := slices.IndexFunc(v.table.rows, func(r tableRow) bool { return v.ids[r.id] == id }); i >= 0 {
			v.moveTo(i)
			return true
		}
	}
	return false
}

func (v *events) Keys() []key.Binding { return v.table.Keys() }

// Draw says what is waited for while there is none.
func (v *events) Draw(cv canvas) {
	if v.total == 0 && cv.h >= 3 {
		cv.text(1, 0, cv.w-1, strong, v.Title())
		text := "nothing has changed yet; links, addresses, routes, neighbours, FDB, rules, containers are told as they change"
		if !v.env.state.Live {
			text = "saved snapshots do not change; of several of one host, what is different from one to the next stands here"
		}
		for y, line := range wrap(text, max(cv.w-4, 10)) {
			cv.text(3, 2+y, cv.w-3, faint, line)
		}
		return
	}
	v.table.Draw(cv)
}

// wrap breaks text at spaces.
func wrap(text string, w int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > w:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// Commands has `:at 12:03`.
func (v *events) Commands() []command {
	return []command{{name: "at", args: "TIME", does: "what happened at a time, as 12:03 or 12:03:04", run: func(m *Model, arg string) tea.Cmd {
		at, err := v.parseTime(arg)
		if err != nil {
			return complain(err.Error())
		}
		// Rows are the newest first: the first one that is not after the end of that minute or second.
		i := slices.IndexFunc(v.table.rows, func(r tableRow) bool { return !v.event(r.id).At.After(at) })
		cmd := m.visit(place{view: "events"})
		if i < 0 {
			return tea.Batch(cmd, complain("nothing is known of "+arg+": that is before the first event"))
		}
		v.sort = -1
		v.refresh()
		v.moveTo(i)
		return cmd
	}}}
}

func (v *events) event(id string) *Event {
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "event "))
	if i := n - v.first; i >= 0 && i < len(v.list) {
		return &v.list[i]
	}
	return &Event{}
}

// parseTime is the end of the minute or second that is named: of the day of the newest event.
func (v *events) parseTime(s string) (time.Time, error) {
	for _, f := range []struct {
		layout string
		unit   time.Duration
	}{{"15:04:05", time.Second}, {"15:04", time.Minute}} {
		t, err := time.Parse(f.layout, s)
		if err != nil {
			continue
		}
		day := v.env.now().Local()
		if n := len(v.list); n > 0 {
			day = v.list[n-1].At.Local()
		}
		return time.Date(day.Year(), day.Month(), day.Day(), t.Hour(), t.Minute(), t.Second(), 0, day.Location()).Add(f.unit - time.Nanosecond), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: 12:03, or 12:03:04", s)
}
