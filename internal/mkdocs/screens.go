package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/tui"
)

// screens are what the interactive view shows of the examples after some keys. Each is a part "screen NAME" of a page, as
// text; those with a picture are written to docs/img/tui-NAME.svg too.
var screens = []struct {
	name    string
	from    []string
	shot    tui.Shot
	picture bool
}{
	{"topology", []string{"node1"}, tui.Shot{W: 120, H: 40, Keys: ":find cache<enter>"}, true},
	{"path", []string{"node1"}, tui.Shot{W: 120, H: 40, Keys: ":path cache web.3<enter>"}, true},
	{"modes", []string{"modes"}, tui.Shot{W: 200, H: 60, Keys: ""}, true},
	{"tree", []string{"node1"}, tui.Shot{W: 80, H: 24, Keys: ":find cache<enter>"}, false},
	{"ascii", []string{"node1"}, tui.Shot{W: 100, H: 24, ASCII: true, Keys: ":find cache<enter>"}, false},
	{"containers", []string{"node1", "node2"}, tui.Shot{W: 110, H: 24, Keys: "2jj"}, false},
	{"members", []string{"node1", "node2"}, tui.Shot{W: 100, H: 40, Keys: "5/web<enter><enter>"}, false},
	{"details", []string{"node1"}, tui.Shot{W: 100, H: 30, Keys: ":show host<enter><tab>"}, false},
}

// frames are what its tests show of what needs a live host: parts "frame NAME".
var frames = []string{"packets-wrong-120x40", "lab-broken-80x24"}

// takeScreens makes the parts, and the pictures by their path below root.
func takeScreens(root string) (parts map[string]string, pictures map[string][]byte, err error) {
	parts, pictures = map[string]string{}, map[string][]byte{}
	for _, s := range screens {
		var snaps []*snapshot.Snapshot
		for _, name := range s.from {
			snap, err := snapshot.Load(filepath.Join(root, "docs/examples", name+".json.zst"))
			if err != nil {
				return nil, nil, fmt.Errorf("screen %s: %w", s.name, err)
			}
			snaps = append(snaps, snap)
		}
		text, svg := s.shot.Take(context.Background(), snaps...)
		parts["screen "+s.name] = "```text\n" + strings.TrimRight(text, "\n") + "\n```\n"
		if s.picture {
			pictures["docs/img/tui-"+s.name+".svg"] = []byte(svg)
		}
	}
	for _, name := range frames {
		text, err := os.ReadFile(filepath.Join(root, "tui/testdata", name+".txt"))
		if err != nil {
			return nil, nil, fmt.Errorf("frame %s: %w", name, err)
		}
		parts["frame "+name] = "```text\n" + strings.TrimRight(string(text), "\n") + "\n```\n"
	}
	parts["tui keys"], parts["tui views"], parts["tui commands"] = tui.KeyTable(), tui.ViewTable(), tui.CommandTable()
	return parts, pictures, nil
}
