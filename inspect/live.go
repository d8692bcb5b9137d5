package inspect

import (
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/watch"
)

// Update is what [Live.Run] tells.
type Update struct {
	// Snapshot is the newest state; nil where what was heard changed nothing. It is not changed any more, and shares with the one
	// before it what was not read again.
	Snapshot *snapshot.Snapshot
	// Full tells that everything was read, at the start or because events were lost.
	Full bool
	// Lost tells that events were lost since the last update: it was read in full for that.
	Lost bool
	// Heard are the events since the last update, the oldest first, but for those of neighbours whose timers ran. What a reading
	// found to be another before its event came, or where none comes, is among them (Found of [watch.Event]).
	Heard []watch.Event
}

// LinkRef is a link in its namespace.
type LinkRef struct {
	In    snapshot.NSID
	Index int
}
