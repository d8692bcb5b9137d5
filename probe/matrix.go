package probe

// Cell is one pair of a matrix.
type Cell struct {
	From  int   `json:"from"` // index into Members
	To    int   `json:"to"`
	Class Class `json:"class"`
	MS    MS    `json:"ms,omitempty"`
	// By, Reason and NotCertain are those of an attempt.
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
	OK      bool     `json:"ok"`      // every pair is
	TookMS  MS       `json:"took_ms"`
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
