package probe

// ListenStats is what Listen counted.
type ListenStats struct {
	Addrs       []string `json:"addrs"` // as Ready got them, never null
	Connections int64    `json:"connections"`
	Requests    int64    `json:"requests"`
	Datagrams   int64    `json:"datagrams"`
	Benches     int64    `json:"benches"`
	// BytesIn came; BytesOut were sent back. Of TCP and UDP echoes.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// TooMany connections were closed at once because 1,000 were open; Unanswered datagrams looked as if an answer would go
	// round for ever.
	TooMany    int64 `json:"too_many"`
	Unanswered int64 `json:"unanswered"`
}

// ListenOptions say what answers.
type ListenOptions struct {
	// Port is the port for all of them, 0 takes a free one. TCP and UDP echo what comes; HTTP answers requests with who
	// asked from where; Bench receives and sends as fast as it can, for [Bench] from elsewhere. TCP, HTTP and Bench exclude
	// each other; so do UDP and Bench.
	Port                  uint16
	TCP, UDP, HTTP, Bench bool
	// Ready is called once with the addresses that are listened on: "tcp [::]:7000", "udp [::]:7000".
	Ready func([]string)
}

const (
	listenConns = 1000 // open at once
	listenKept  = 1000 // attempts that the result keeps: the last ones
)

// echoGuard keeps two echoes from answering each other for ever. An answer looks like any datagram, so it is told by what it
// does: the same bytes come from the same peer again and again, each at once after the last answer.
type echoGuard struct {
	peers map[string]*echoPeer
}

type echoPeer struct {
	hash  uint64
	last  int64 // ns
	runs  int
	until int64
}

const (
	echoRun   = 64                // answers with the same bytes
	echoGap   = int64(50_000_000) // ns between two of them at most
	echoQuiet = int64(1_000_000_000)
	echoPeers = 4096
)

// answer tells whether a datagram with this hash, from a peer and its port, is answered at a time in nanoseconds.
func (g *echoGuard) answer(peer string, port uint16, hash uint64, now int64) bool {
	// Services below 1024 that answer anything (echo 7, chargen 19, DNS 53) are the other half of a loop, and no client sends
	// from there.
	if port < 1024 {
		return false
	}
	p := g.peers[peer]
	if p == nil {
		if g.peers == nil || len(g.peers) >= echoPeers {
			g.peers = map[string]*echoPeer{}
		}
		p = &echoPeer{}
		g.peers[peer] = p
	}
	if now < p.until { // one missing answer is the end of a loop
		return false
	}
	if hash == p.hash && now-p.last < echoGap {
		p.runs++
	} else {
		p.runs = 0
	}
	p.hash, p.last = hash, now
	if p.runs >= echoRun {
		p.runs, p.until = 0, now+echoQuiet
		return false
	}
	return true
}
