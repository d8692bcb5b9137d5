package tui

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func saved(t testing.TB, name string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Load("../docs/examples/" + name + ".json.zst")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvents(t *testing.T) {
	d := newDriver(t, 100, 20, Config{})
	d.live(saved(t, "node1"))
	d.press(":events<enter>")
	d.wants("0 events", "nothing has changed yet")
	cache := d.nodeNamed(topo.KindContainer, "cache")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for i := range 30 {
		d.update(Update{Events: []Event{{At: at.Add(time.Duration(i) * time.Minute), Kind: "link", Text: fmt.Sprintf("thing %d changed", i)}}})
	}
	d.update(Update{Events: []Event{{At: at.Add(31 * time.Minute), Kind: "container", Node: cache.ID, Text: "container cache changed: state running → exited"}}})
	d.wants("31 events", "12:31:00  container  container cache changed: state running", "12:29:00  link       thing 29 changed")
	if got := d.m.current().Selected(); got != cache.ID {
		t.Errorf("the cursor is on %q, want the newest", got)
	}
	// From the newest one to what it is about, and back.
	d.press("<enter>")
	d.wants("cache")
	d.press("<esc>")
	d.wants("31 events")
	under := func() string {
		v := d.m.current().(*events)
		return v.event(v.table.Selected()).Text
	}
	// The cursor stays on an old one while newer come.
	d.press("j")
	d.update(Update{Events: []Event{{At: at.Add(32 * time.Minute), Kind: "link", Text: "newer"}}})
	if got := under(); got != "thing 29 changed" {
		t.Errorf("the cursor went to %q", got)
	}
	// What happened at 12:03?
	d.press(":at<space>12:03<enter>")
	if got := under(); got != "thing 3 changed" {
		t.Errorf("at 12:03: %q", got)
	}
	d.press(":at<space>noon<enter>")
	d.wants(`"noon" is no time`)
	d.press(":at<space>11:00<enter>")
	d.wants("before the first event")
	d.press("/cache<enter>")
	d.wants("1 of 32 events")
	// No more than so many are kept.
	v := d.m.current().(*events)
	for range 3 {
		d.send(eventsMsg(make([]Event, mostEvents/2)))
	}
	if len(v.list) != mostEvents {
		t.Errorf("%d events are kept", len(v.list))
	}
}

// TestTimeline: two snapshots of one host are two states; what is different is marked, and stands among the events.
func TestTimeline(t *testing.T) {
	before, after := saved(t, "node2"), saved(t, "node2-killed")
	if _, ok := Saved(before, saved(t, "node1")).(Timeline); ok {
		t.Error("two hosts are a timeline")
	}
	src := Saved(after, before)
	tl, ok := src.(Timeline)
	if !ok || len(tl.Steps()) != 2 || tl.Steps()[0].After(tl.Steps()[1]) {
		t.Fatalf("no timeline of two steps: %v", src)
	}
	up := src.Start(t.Context())
	u := <-up
	if u.State == nil || u.State.Step != 1 || len(u.State.Changed) == 0 {
		t.Fatalf("first: %+v", u.State)
	}
	if u = <-up; len(u.Events) == 0 || !u.Events[0].At.Equal(after.Taken) {
		t.Errorf("events: %+v", u.Events)
	}
	tl.Step(0)
	if u = <-up; u.State == nil || u.State.Step != 0 || len(u.State.Changed) != 0 {
		t.Errorf("step 0: %+v", u.State)
	}
	d := newDriver(t, 100, 24, Config{Source: &quietTimeline{tl}})
	d.update(u)
	d.wants("1/2")
	d.press(">")
	if u = <-up; u.State == nil || u.State.Step != 1 {
		t.Errorf("after >: %+v", u.State)
	}
	d.update(u)
	d.wants("2/2")
}

// quietTimeline is one that was started already.
type quietTimeline struct{ Timeline }

func (quietTimeline) Start(context.Context) <-chan Update { return nil }
