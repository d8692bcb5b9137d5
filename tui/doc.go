// Package tui is the interactive view: what `nscope` opens on a terminal.
//
//	err := tui.Run(ctx, tui.Config{Source: tui.Files(snaps...)})
//
// A [Source] gives states (snapshots and the graph built from them), counters and events; everything here is a function of
// those and of the keys that were pressed. Nothing in this package reads the host but the live source.
//
// # How it is made
//
// [Model] is the root: it owns the prompt (`:` and `/`), the help, the history and the frame around the body, and passes
// what is left to the one view that is open. All views share one *env: the state, the rates, the filter, the marks, the
// look. A view draws into a canvas, which clips: no view can draw outside of its place, and none needs to count columns
// of colour codes.
//
// # How to add a view
//
// Write a file of its own with a type that has the methods of the interface view (view.go), and add one line to viewList
// (views.go). That gives it its number, its command (`:name`), its part of the help and of docs/tui.md, and the property
// test of random keys and sizes. Beyond that:
//
//   - Messages that a view sends to itself (results of its commands, ticks) reach its Update, whether it is open or not: give
//     them a type of their own.
//   - A view that wants to be told of each new state reads env.state in Update on stateMsg; one that wants events keeps those
//     of eventsMsg.
//   - To make the root do something, return a command that gives openMsg, gotoMsg, sayMsg, captureMsg, askMsg.
//   - A view that holds something open only while it is looked at has Leave() (interface leaver); Open() (opener) is called when it is opened.
//   - A view with a text field of its own has Typing() true while that has the keys (interface typist).
//   - A view that watches counters or a namespace's rules lists node ids in Draw with env.watch.
//   - Commands of its own: Commands() (interface commander). Keys of its own: Keys(), and Key tells whether it used one; the
//     view is asked before the root, so it may give a root's key another meaning, and then must list it.
//   - Things that only the command line can make (a capture, a lab, a subprocess) come as functions in [Config].
//
// # What it never does
//
// It does not print, does not read the clock but through env.now, never blocks in Update, and tells nothing by colour alone.
package tui
