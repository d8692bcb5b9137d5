package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/faults"
)

// labRow is a mode, with its lab where there is one; a mode of several labs has several rows.
type labRow struct {
	mode fixtures.Mode
	info fixtures.Info
	lab  *fixtures.State // nil: none is up
}

// labs are the network modes that can be made, tested, broken and repaired.
type labs struct {
	env    *env
	list   []*fixtures.State
	why    error // what keeps labs from being listed, or made
	may    error // what keeps them from being made
	asked  bool  // that was asked
	seen   bool  // it was drawn since
	rows   []labRow
	cursor int
	top    int
	page   int

	// faults are those that the lab under the cursor can be broken with, while one is chosen.
	faults  []faults.Fault
	fault   int
	faultOf labRow

	doing   string                  // what is being done, "" for nothing
	step    *atomic.Pointer[string] // the part of it that is done now
	since   time.Time
	cancel  context.CancelFunc
	said    lines // what came of it
	reading bool  // the keys scroll that
}

func newLabs(e *env) view {
	l := &labs{env: e}
	l.said.set("")
	l.refresh()
	return l
}

var (
	labUpKey     = bind("enter u", "make the lab; of one that is up: see its wires", "enter", "u")
	labTestKey   = bind("t", "test by packets: the lab that is up, or one that is made and taken away", "t")
	labBreakKey  = bind("b", "break: choose a fault", "b")
	labRepairKey = bind("r", "repair", "r")
	labDownKey   = bind("d", "take the lab away", "d")
	labCancelKey = bind("esc", "cancel what is being done", "esc")
	labPaneKey   = bind("tab", "the list, what came of it; then the next view", "tab")
)

func (l *labs) Keys() []key.Binding {
	return []key.Binding{labUpKey, labTestKey, labBreakKey, labRepairKey, labDownKey, labCancelKey, labPaneKey}
}

func (l *labs) Title() string {
	return plural(len(fixtures.Modes()), "mode", "modes") + ", " + plural(len(l.list), "lab is up", "labs are up")
}

func (l *labs) Selected() string   { return "" }
func (l *labs) Select(string) bool { return false }

// Messages to itself: the labs there are; what came of what was done; a while has passed.
type (
	labListMsg struct {
		list     []*fixtures.State // nil: they could not be listed
		why, may error
	}
	labDoneMsg struct {
		text string
		bad  bool
	}
	labTickMsg struct{}
)

func (l *labs) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case stateMsg:
		l.refresh()
		if l.seen {
			return l.ask()
		}
	case labListMsg:
		l.may, l.why = msg.may, cmp.Or(msg.why, msg.may)
		if msg.list != nil {
			l.list = msg.list
		}
		l.refresh()
	case labDoneMsg:
		l.doing, l.cancel = "", nil
		l.said.set(msg.text)
		l.said.top = 0
		headline, _, _ := strings.Cut(msg.text, "\n")
		return tea.Batch(l.ask(), send(sayMsg{text: headline, bad: msg.bad}))
	case labTickMsg:
		if l.doing != "" {
			return l.tick()
		}
	}
	return nil
}

// Open asks which labs there are.
func (l *labs) Open() tea.Cmd { return l.ask() }

// ask asks which labs there are; whether they may be made, the first time only: to find out makes a namespace, which is a change of its
// own.
func (l *labs) ask() tea.Cmd {
	x := l.env.cfg.Labs
	if x == nil {
		return nil
	}
	first, may := !l.asked, l.may
	l.asked, l.seen = true, false
	ctx := l.env.ctx
	return func() tea.Msg {
		if first {
			may = x.May()
		}
		list, err := x.List(ctx)
		return labListMsg{list, err, may}
	}
}

// stepEvery is how often it is drawn anew while something is done.
const stepEvery = 200 * time.Millisecond

func (l *labs) tick() tea.Cmd {
	return tea.Tick(stepEvery, func(time.Time) tea.Msg { return labTickMsg{} })
}

// refresh makes the rows anew; the cursor stays where it is.
func (l *labs) refresh() {
	var at labRow
	if l.cursor < len(l.rows) {
		at = l.rows[l.cursor]
	}
	l.rows = l.rows[:0]
	for _, m := range fixtures.Modes() {
		info, n := m.Info(), 0
		add := func(s *fixtures.State) {
			fields := []string{info.Summary}
			if s != nil {
				fields = append(fields, s.Name, s.Condition())
			}
			if l.env.filter.match(info.Name, fields...) {
				l.rows = append(l.rows, labRow{m, info, s})
			}
			n++
		}
		for _, s := range l.list {
			if s.Mode == info.Name {
				add(s)
			}
		}
		if n == 0 {
			add(nil)
		}
	}
	same := func(r labRow) bool {
		return r.info.Name == at.info.Name && (at.lab == nil || r.lab == nil || r.lab.Name == at.lab.Name)
	}
	if i := slices.IndexFunc(l.rows, same); i >= 0 {
		l.cursor = i
	}
	l.cursor = clamp(l.cursor, 0, max(len(l.rows)-1, 0))
}

// start does something that takes a while, one thing at a time.
func (l *labs) start(what string, do func(context.Context) (text string, bad bool)) tea.Cmd {
	if l.doing != "" {
		return complain("busy: " + l.doing + " (esc cancels)")
	}
	ctx, cancel := context.WithCancel(l.env.ctx)
	step := new(atomic.Pointer[string])
	l.doing, l.step, l.since, l.cancel = what, step, l.env.now(), cancel
	return tea.Batch(l.tick(), func() tea.Msg {
		defer cancel()
		text, bad := do(fixtures.WithDoing(ctx, func(what string) { step.Store(&what) }))
		if ctx.Err() != nil {
			text, bad = "cancelled: "+what+"\n"+text, true
		}
		return labDoneMsg{text, bad}
	})
}

func (l *labs) up(r labRow) tea.Cmd {
	x := l.env.cfg.Labs
	if r.lab != nil {
		for _, s := range r.lab.Spaces {
			if n, err := l.env.state.Graph.Resolve(s.Full); err == nil && s.Role == fixtures.RoleContainer {
				return send(gotoMsg{viewList[0].name, n.ID})
			}
		}
		return complain("its namespaces are not seen yet")
	}
	name := r.info.Name
	return l.start("making lab "+name, func(ctx context.Context) (string, bool) {
		s, err := x.Up(ctx, r.mode, name)
		if err != nil {
			return "lab " + name + " was not made: " + err.Error(), true
		}
		return labMade(s), false
	})
}

func (l *labs) test(r labRow) tea.Cmd {
	x := l.env.cfg.Labs
	if r.lab == nil {
		return l.start("testing mode "+r.info.Name, func(ctx context.Context) (string, bool) {
			return labTested(x.Test(ctx, r.mode, "test-"+r.info.Name))
		})
	}
	if !x.Own(r.lab) {
		return complain("an engine's lab is tested when it is made: t on a mode that is not up")
	}
	return l.start("testing lab "+r.lab.Name, func(ctx context.Context) (string, bool) {
		checks, err := x.Prove(ctx, r.lab)
		if err != nil {
			return "lab " + r.lab.Name + " was not tested: " + err.Error(), true
		}
		return labChecks("lab "+r.lab.Name, checks)
	})
}

// choose opens the list of faults.
func (l *labs) choose(r labRow) tea.Cmd {
	switch {
	case r.lab == nil:
		return complain("it is not up: enter makes it")
	case !l.env.cfg.Labs.Own(r.lab):
		return complain("an engine made it: only labs without one are broken")
	case len(r.lab.Faults) > 0:
		return complain("it is broken already: " + strings.Join(r.lab.Faults, ", ") + " (r repairs it)")
	}
	l.faults, l.fault, l.faultOf = nil, 0, r
	for _, f := range faults.All() {
		if _, ok := f.For(r.info.Name); ok {
			l.faults = append(l.faults, f)
		}
	}
	if len(l.faults) == 0 {
		return complain("no fault is known for " + r.info.Name)
	}
	return nil
}

func (l *labs) breakIt(r labRow, f faults.Fault) tea.Cmd {
	x, name := l.env.cfg.Labs, r.lab.Name
	return l.start("breaking lab "+name+" with "+f.ID, func(ctx context.Context) (string, bool) {
		rep, err := x.Break(ctx, name, f.ID)
		if err != nil {
			return "lab " + name + " was not broken: " + err.Error(), true
		}
		return labFault(rep, "lab "+name+" is broken: "+f.Symptom, "why: "+f.Cause, "proof: "+f.Proof, "r repairs it")
	})
}

func (l *labs) repair(r labRow) tea.Cmd {
	if r.lab == nil {
		return complain("it is not up")
	}
	x, name := l.env.cfg.Labs, r.lab.Name
	return l.start("repairing lab "+name, func(ctx context.Context) (string, bool) {
		rep, err := x.Repair(ctx, name)
		if err != nil {
			return "lab " + name + " was not repaired: " + err.Error(), true
		}
		return labFault(rep, "lab "+name+" is repaired")
	})
}

func (l *labs) down(r labRow) tea.Cmd {
	if r.lab == nil {
		return complain("it is not up")
	}
	x, name := l.env.cfg.Labs, r.lab.Name
	return l.start("taking lab "+name+" away", func(ctx context.Context) (string, bool) {
		if err := x.Down(context.WithoutCancel(ctx), r.lab); err != nil {
			return "lab " + name + " does not go away: " + err.Error(), true
		}
		return "lab " + name + " is gone", false
	})
}

// elapsed is how long what is being done has taken.
func (l *labs) elapsed() string {
	return fmt.Sprintf("%d s", int(l.env.now().Sub(l.since).Seconds()))
}
