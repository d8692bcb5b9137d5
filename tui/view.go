package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// view is one model of the interactive view: a picture, a table, a list of events.
type view interface {
	// Title is what stands above it: what it shows, and how much of it.
	Title() string
	// Keys are the keys of its own, for the help.
	Keys() []key.Binding
	// Key is asked first for every key that no prompt takes; used is false where the key means nothing here.
	Key(msg tea.KeyPressMsg) (cmd tea.Cmd, used bool)
	// Update gets every other message: stateMsg, countersMsg, eventsMsg, and what its own commands gave.
	Update(msg tea.Msg) tea.Cmd
	// Draw draws it. What it draws is a function of what it knows and of the canvas's size.
	Draw(cv canvas)
	// Selected is the id of the node under the cursor, "" for none.
	Selected() string
	// Select puts the cursor on a node; false where the view does not have it.
	Select(id string) bool
}

// typist is a view that has a text field: while Typing, it gets every key but ctrl-c and ctrl-z.
type typist interface{ Typing() bool }

// commander is a view with commands of its own for the command line.
type commander interface{ Commands() []command }

// opener is a view that has something to do when it is opened.
type opener interface{ Open() tea.Cmd }

// leaver is a view that wants to know when another one is opened.
type leaver interface{ Leave() }

// Messages from the root to the views.
type (
	// stateMsg says that env.state is another one, or that the filter, the marks or the width of output (w) changed.
	stateMsg struct{}
	// countersMsg says that env.rates has newer counters.
	countersMsg struct{}
	// eventsMsg are events that came, the oldest first.
	eventsMsg []Event
)

// Messages from the views to the root.
type (
	// openMsg shows the details of a node.
	openMsg struct{ id string }
	// gotoMsg opens a view by its name and puts the cursor on a node.
	gotoMsg struct{ view, id string }
	// sayMsg shows a line until the next key.
	sayMsg struct {
		text string
		bad  bool
	}
	// captureMsg starts a capture on nodes.
	captureMsg struct{ ids []string }
	// askMsg opens the command line with the beginning of a command.
	askMsg struct{ line string }
)

func send(msg tea.Msg) tea.Cmd { return func() tea.Msg { return msg } }

func say(text string) tea.Cmd { return send(sayMsg{text: text}) }

func complain(text string) tea.Cmd { return send(sayMsg{text: text, bad: true}) }
