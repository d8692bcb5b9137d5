package probe

// BenchFigure is what Bench found beside its attempts.
type BenchFigure struct{}

// BenchOptions say what is measured.
type BenchOptions struct {
	// UDP measures datagrams instead of TCP; Reverse from TO to FROM; Streams is how many connections at once, 0 means 1.
	UDP, Reverse bool
	Streams      int
	// Rate bounds UDP in bits a second, 0 is as fast as it goes.
	Rate int64
}
