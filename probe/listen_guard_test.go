package probe

import "testing"

func TestEchoGuard(t *testing.T) {
	var g echoGuard
	const ms = 1_000_000
	if g.answer("a", 53, 1, 0) {
		t.Error("a name server is answered")
	}
	// A client that asks the same each 100 ms is answered always, one that varies what it asks too.
	for i := range int64(1000) {
		if !g.answer("slow", 5000, 1, i*100*ms) || !g.answer("varied", 5000, uint64(i), i*ms) {
			t.Fatalf("datagram %d", i)
		}
	}
	n := 0
	for i := range int64(1000) {
		if g.answer("loop", 5000, 1, i) {
			n++
		} else {
			break
		}
	}
	if n != echoRun {
		t.Errorf("%d rounds, want %d", n, echoRun)
	}
	if g.answer("loop", 5000, 2, 2000) || !g.answer("loop", 5000, 2, 2*echoQuiet) {
		t.Error("a loop that was broken is quiet for a second")
	}
	for i := range 3 * echoPeers {
		g.answer(string(rune(i)), 5000, 1, 0)
	}
	if len(g.peers) > echoPeers {
		t.Errorf("%d peers are kept", len(g.peers))
	}
}
