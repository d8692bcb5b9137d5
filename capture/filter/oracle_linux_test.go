package filter

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// program is what `tcpdump -ddd` makes of an expression; ok is false where libpcap refuses.
func program(t *testing.T, optimize bool, expr string) (prog []instruction, ok bool) {
	t.Helper()
	args := []string{"-y", "EN10MB", "-s", "262144", "-ddd", "--", expr}
	if !optimize {
		args = append([]string{"-O"}, args...)
	}
	out, err := exec.Command("tcpdump", args...).Output()
	if err != nil {
		return nil, false
	}
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Scan()
	for s.Scan() {
		var i instruction
		if _, err := fmt.Sscan(s.Text(), &i.op, &i.jt, &i.jf, &i.k); err != nil {
			t.Fatal(err)
		}
		prog = append(prog, i)
	}
	return prog, true
}

func TestSameAsLibpcap(t *testing.T) {
	nettest.NeedsTool(t, "tcpdump")
	g := corpus.New(1)
	frames := g.Frames(6000, 20)
	for range 15 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	pkts := make([]packet.Packet, len(frames))
	var d packet.Decoder
	for i, f := range frames {
		d.Decode(&pkts[i], f.Data, f.WireLen, packet.Ethernet)
	}
	for _, expr := range expressions {
		plain, ok := program(t, false, expr)
		best, _ := program(t, true, expr)
		f, err := Parse(expr, nil)
		switch {
		case !ok && err == nil:
			t.Errorf("%q: libpcap refuses it", expr)
			continue
		case ok && err != nil:
			t.Errorf("%q: %v", expr, err)
			continue
		case !ok:
			continue
		}
		hits, wrong := 0, 0
		for i := range pkts {
			a := run(plain, frames[i].Data, frames[i].WireLen)
			b := a
			if best != nil {
				// Of a packet that is cut off, the optimized program may need less, or ask for what is missing first. Both are libpcap's.
				b = run(best, frames[i].Data, frames[i].WireLen)
			}
			if a != b && len(frames[i].Data) == frames[i].WireLen && !strings.Contains(expr, "[") {
				t.Errorf("%q: libpcap's two programs differ", expr)
			}
			got := f.Match(&pkts[i], Meta{})
			if a || b {
				hits++
			}
			if got != a && got != b {
				if wrong++; wrong == 1 {
					t.Errorf("%q: %v, libpcap %v: % x", expr, got, a, frames[i].Data)
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%q: %d of %d wrong", expr, wrong, len(pkts))
		}
		if hits == 0 && !never[expr] {
			t.Errorf("%q matches nothing of the corpus: it proves nothing", expr)
		}
	}
}

// never are expressions that no frame of the corpus matches, by their meaning.
var never = map[string]bool{"ip[1000] = 0": true, `ip proto \eigrp`: true, "pppoed": true, "decnet": true, "lat": true, "moprc": true, "mopdl": true, "sca": true, `ether proto \lat`: true, `ether proto \moprc`: true}
