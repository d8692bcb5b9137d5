package probe

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// Cell is one pair of a matrix.
type Cell struct {
	From  int   `json:"from"` // index into Members
	To    int   `json:"to"`
	Class Class `json:"class"`
	MS    MS    `json:"ms,omitempty"`
	// Addr is what was asked: members can have another address for each who asks.
	Addr string `json:"addr,omitempty"`
	// By, Reason and NotCertain are those of an attempt. By is empty where the one asked answered itself, and where the
	// kernel does not tell (before Linux 5.18 for TCP).
	By         string `json:"by,omitempty"`
	Reason     string `json:"reason,omitempty"`
	NotCertain string `json:"not_certain,omitempty"`
}

// MatrixResult is everyone to everyone.
type MatrixResult struct {
	Kind    string   `json:"kind"`    // matrix
	Members []string `json:"members"` // names, in order
	Addrs   []string `json:"addrs"`   // the address that each is asked at by most
	By      string   `json:"by"`      // ping or tcp/<port>
	Cells   []Cell   `json:"cells"`   // by From, then To; nobody asks itself
	// Unasked is how many pairs have no cell because the context ended first.
	Unasked int  `json:"unasked,omitempty"`
	OK      bool `json:"ok"` // every pair is
	TookMS  MS   `json:"took_ms"`
	// Note says what kept it from being faster.
	Note string `json:"note,omitempty"`
}

// Member is one of a matrix: it asks, and is asked at the address that To gives for the one who asks.
type Member struct {
	From *From
	// To gives the target for a member that asks, by its index.
	To func(asker int) To
}

// MatrixOptions say what is asked.
type MatrixOptions struct {
	// TCP is the port to connect to, 0 sends pings.
	TCP uint16
	// Done is called with how many of all pairs are known; may be nil.
	Done func(done, all int)
}

// CSV writes a line for each cell, with a header.
func (m *MatrixResult) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"from", "to", "addr", "class", "ms", "by", "reason", "not_certain"})
	for _, x := range m.Cells {
		ms := ""
		if x.Class == OK {
			ms = strconv.FormatFloat(float64(x.MS), 'f', 3, 64)
		}
		c.Write([]string{m.name(x.From), m.name(x.To), x.Addr, string(x.Class), ms, x.By, x.Reason, x.NotCertain})
	}
	c.Flush()
	return c.Error()
}

func (m *MatrixResult) name(i int) string {
	if i < 0 || i >= len(m.Members) {
		return fmt.Sprint(i)
	}
	return m.Members[i]
}
