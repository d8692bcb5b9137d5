package tui

import (
	"fmt"
	"os"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/pcap"
)

// saveName is the file that is proposed.
func (p *packets) saveName() string {
	name := "nscope"
	if len(p.names) > 0 {
		name = p.names[0]
	}
	return fileName(name) + ".pcapng"
}

// save writes the packets that are shown, with the names of their addresses. A file that is there is left alone.
func (p *packets) save(file string) tea.Cmd {
	if len(p.shown) == 0 {
		return complain("there are no packets to save")
	}
	if !strings.HasSuffix(file, ".pcapng") && !strings.HasSuffix(file, ".pcapng.zst") {
		return complain(file + ": the name must end in .pcapng or .pcapng.zst")
	}
	list, g := slices.Clone(p.shown), p.graph.Load()
	return func() tea.Msg {
		n, err := savePackets(file, list, &pcap.Files{Path: file, Section: pcap.Section{OS: "Linux", Application: "nscope"}, Names: capture.Addresses(g)})
		if err != nil {
			return sayMsg{text: "not saved: " + err.Error(), bad: true}
		}
		return sayMsg{text: fmt.Sprintf("written: %s (%s, %d bytes)", file, plural(len(list), "packet", "packets"), n)}
	}
}

func savePackets(file string, list []*kept, f *pcap.Files) (int64, error) {
	if _, err := os.Lstat(file); err == nil {
		return 0, fmt.Errorf("%s is there already", file)
	}
	w, err := capture.NewWriter(f)
	if err != nil {
		return 0, err
	}
	w.Tool = "nscope"
	for _, k := range list {
		if err := w.Write(k.Event); err != nil {
			return 0, err
		}
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := w.Close(0, nil); err != nil {
		return 0, err
	}
	return w.Written(), nil
}
