package tui

import (
	"context"
	"slices"
	"strconv"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Model is the root of the view.
type Model struct {
	env     *env
	ctx     context.Context
	updates <-chan Update
	views   []view
	details *details
	places  places
	open    string // the view that was open last
	prompt  prompt
	help    *help
	w, h    int
	scr     screen

	pending  *State // the newest state while frozen
	progress *Progress
	loading  bool // no state has come yet
	ended    bool // none will come any more
	err      error
	line     sayMsg
	watched  Watch
	// sought is what :find was given last, found the node that it led to.
	sought, found string
}

// New makes the model that [Run] runs. Its source starts when the program does.
func New(ctx context.Context, cfg Config) *Model {
	m := &Model{ctx: ctx, env: newEnv(ctx, &cfg), w: 80, h: 24, loading: true}
	for _, v := range viewList {
		m.views = append(m.views, v.make(m.env))
	}
	m.details = newDetails(m.env)
	m.prompt = newPrompt(m)
	m.places.enter(place{view: viewList[0].name})
	return m
}

// Init starts the source.
func (m *Model) Init() tea.Cmd {
	m.updates = m.env.cfg.Source.Start(m.ctx)
	return tea.Batch(m.wait(), tea.RequestBackgroundColor)
}

// sourceMsg is what came from the source; ok is false when nothing more will come.
type sourceMsg struct {
	Update
	ok bool
}

func (m *Model) wait() tea.Cmd {
	ch := m.updates
	return func() tea.Msg {
		u, ok := <-ch
		return sourceMsg{u, ok}
	}
}

// Update takes one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		return m, m.tell(stateMsg{})
	case tea.BackgroundColorMsg:
		m.env.look = newLook(m.env.cfg.ASCII, !m.env.cfg.NoColor, msg.IsDark())
		return m, nil
	case tea.ResumeMsg:
		if m.env.cfg.Away != nil {
			m.env.cfg.Away(false)
		}
		return m, nil
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		if m.prompt.open() {
			return m, m.prompt.update(msg)
		}
		return m, m.current().Update(msg)
	case sourceMsg:
		return m, m.fromSource(msg)
	case openMsg:
		return m, m.visit(place{view: detailsName, id: msg.id})
	case gotoMsg:
		return m, m.visit(place(msg))
	case sayMsg:
		m.line = msg
		return m, nil
	case captureMsg:
		return m, m.capture(msg.ids)
	case askMsg:
		m.prompt.ask(promptCommand, msg.line)
		return m, nil
	case tea.MouseMsg:
		return m, m.current().Update(msg)
	}
	return m, m.tell(msg)
}

// tell passes a message to every view.
func (m *Model) tell(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for _, v := range m.views {
		cmds = append(cmds, v.Update(msg))
	}
	return tea.Batch(append(cmds, m.details.Update(msg))...)
}

// fromSource takes what the source delivered, and waits for more.
func (m *Model) fromSource(msg sourceMsg) tea.Cmd {
	if !msg.ok {
		m.ended, m.progress = true, nil
		return nil
	}
	var cmds []tea.Cmd
	m.progress, m.err = msg.Progress, msg.Err
	if msg.State != nil {
		if m.env.frozen {
			m.pending = msg.State
		} else {
			cmds = append(cmds, m.setState(msg.State))
		}
	}
	if msg.Counters != nil && !m.env.frozen {
		m.env.rates.add(msg.Counters)
		cmds = append(cmds, m.tell(countersMsg{}))
	}
	if len(msg.Events) > 0 {
		cmds = append(cmds, m.tell(eventsMsg(msg.Events)))
	}
	return tea.Batch(append(cmds, m.wait())...)
}

func (m *Model) setState(st *State) tea.Cmd {
	m.loading = false
	m.env.state = st
	has := func(id string) bool { return m.env.node(id) != nil }
	m.env.rates.keep(has)
	m.env.marks = slices.DeleteFunc(m.env.marks, func(id string) bool { return !has(id) })
	if m.env.path != nil {
		m.lightPath()
	}
	return m.tell(stateMsg{})
}

// current is the view that is open.
func (m *Model) current() view {
	name := m.places.at().view
	if name == detailsName {
		return m.details
	}
	return m.views[max(viewIndex(name), 0)]
}

// key takes a key: the prompt first, then the help, then the open view, then the root.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		if m.env.cfg.Away != nil {
			m.env.cfg.Away(true)
		}
		return tea.Suspend
	}
	m.line = sayMsg{}
	if m.prompt.open() {
		return m.prompt.update(msg)
	}
	v := m.current()
	if m.help != nil {
		if m.help.key(msg) {
			m.help = nil
		}
		return nil
	}
	if t, ok := v.(typist); ok && t.Typing() {
		cmd, _ := v.Key(msg)
		return cmd
	}
	if cmd, used := v.Key(msg); used {
		return cmd
	}
	return m.rootKey(msg, v)
}

func (m *Model) rootKey(msg tea.KeyPressMsg, v view) tea.Cmd {
	id := v.Selected()
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	switch {
	case is(keys.Quit):
		return tea.Quit
	case is(keys.Help):
		m.help = newHelp(m)
	case is(keys.Command):
		m.prompt.ask(promptCommand, "")
	case is(keys.Filter):
		m.prompt.ask(promptFilter, m.env.filter.text)
	case is(keys.Open):
		if id != "" {
			return m.visit(place{view: detailsName, id: id})
		}
	case is(keys.Back):
		return m.back()
	case is(keys.Pane):
		return m.step(1)
	case is(keys.PrevPane):
		return m.step(-1)
	case is(keys.Jump):
		if n, _ := strconv.Atoi(msg.String()); n >= 1 && n <= len(viewList) {
			return m.visit(place{view: viewList[n-1].name, id: id})
		}
	case is(keys.HistoryBack):
		return m.travel(-1)
	case is(keys.HistoryForward):
		return m.travel(1)
	case is(keys.Mark):
		return m.mark(id)
	case is(keys.Path):
		return m.togglePath()
	case is(keys.Freeze):
		return m.freeze()
	case is(keys.Wide):
		m.env.wide = !m.env.wide
		return m.tell(stateMsg{})
	case is(keys.Capture):
		if ids := m.targets(id); len(ids) > 0 {
			return m.capture(ids)
		}
	case is(keys.Exec):
		return m.shell(id)
	case is(keys.Copy):
		return m.copy(id)
	case is(keys.Export):
		m.prompt.ask(promptCommand, "export "+exportName(m))
	case is(keys.Earlier):
		return m.timeStep(-1)
	case is(keys.Later):
		return m.timeStep(1)
	}
	return nil
}

// View draws the frame that is shown now.
func (m *Model) View() tea.View {
	m.draw()
	v := tea.NewView(m.scr.painted(m.env.look))
	v.AltScreen = true
	v.WindowTitle = "nscope"
	if m.env.cfg.Mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if x, ok := m.prompt.cursor(m); ok {
		v.Cursor = tea.NewCursor(x, m.h-2)
	}
	return v
}
