package tui

import "charm.land/bubbles/v2/key"

// keyMap are the keys that mean the same everywhere. The help, the hints and docs/tui.md are made from it.
type keyMap struct {
	Up, Down, Left, Right, Top, Bottom, PageUp, PageDown          key.Binding
	Open, Back, Pane, PrevPane, HistoryBack, HistoryForward, Jump key.Binding
	Filter, Command, Help, Mark, Path, Freeze, Wide               key.Binding
	Capture, Exec, Copy, Export, Earlier, Later, Suspend, Quit    key.Binding
}

var keys = keyMap{
	Up:       bind("k/↑", "up", "k", "up"),
	Down:     bind("j/↓", "down", "j", "down"),
	Left:     bind("h/←", "along the wire to the left; in a table: scroll", "h", "left"),
	Right:    bind("l/→", "along the wire to the right; in a table: scroll", "l", "right"),
	Top:      bind("g", "to the first", "g", "home"),
	Bottom:   bind("G", "to the last", "G", "end"),
	PageUp:   bind("ctrl-u", "a page up", "ctrl+u", "pgup"),
	PageDown: bind("ctrl-d", "a page down", "ctrl+d", "pgdown"),

	Open:           bind("enter", "open: everything about the selected thing", "enter"),
	Back:           bind("esc", "back; end a filter", "esc", "backspace"),
	Pane:           bind("tab", "next view, or next pane inside one", "tab"),
	PrevPane:       bind("shift-tab", "the one before", "shift+tab"),
	Jump:           bind("1…9", "the view of that number", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
	HistoryBack:    bind("[", "back in history", "["),
	HistoryForward: bind("]", "forward in history", "]"),

	Filter:  bind("/", "filter: letters in order, !word for all without it", "/"),
	Command: bind(":", "command, tab completes", ":"),
	Help:    bind("?", "this help", "?"),
	Mark:    bind("space", "mark, or take the mark away (two at most)", "space"),
	Path:    bind("p", "light the path between two marks", "p"),
	Freeze:  bind("f", "freeze, and go on", "f"),
	Wide:    bind("w", "wide: MACs, inodes, images, and all rows of a list", "w"),

	Capture: bind("c", "capture the packets of the selected thing, or of the marked", "c"),
	Exec:    bind("x", "a shell in its network namespace, as nscope exec", "x"),
	Copy:    bind("y", "copy its name for other commands", "y"),
	Export:  bind("e", "export what is seen: svg, html or json", "e"),
	Earlier: bind("<", "the snapshot before, with several of one host", "<", ","),
	Later:   bind(">", "the snapshot after", ">", "."),
	Suspend: bind("ctrl-z", "to the shell; fg comes back", "ctrl+z"),
	Quit:    bind("q", "quit", "q", "ctrl+c"),
}

// keyGroup is a part of the help.
type keyGroup struct {
	title string
	keys  []key.Binding
}

// groups are all keys of the map, in the order of the help.
func (k *keyMap) groups() []keyGroup {
	return []keyGroup{
		{"Move", []key.Binding{k.Up, k.Down, k.Left, k.Right, k.Top, k.Bottom, k.PageUp, k.PageDown}},
		{"Look", []key.Binding{k.Open, k.Back, k.Pane, k.PrevPane, k.Jump, k.HistoryBack, k.HistoryForward, k.Filter, k.Wide, k.Freeze, k.Earlier, k.Later}},
		{"Do", []key.Binding{k.Mark, k.Path, k.Capture, k.Exec, k.Copy, k.Export, k.Command, k.Help, k.Suspend, k.Quit}},
	}
}

func bind(show, does string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(show, does))
}
