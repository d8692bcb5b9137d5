package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

func FuzzParse(f *testing.F) {
	for _, e := range expressions {
		f.Add(e)
	}
	f.Add("inner host 10.0.1.2 and tcp port 80")
	f.Add("vni 4097 and encap vxlan or dir in")
	for _, again := range []string{":", "(", "not ", "1:", "f.", "0-"} { // each byte is looked at a few times, not as often as there are bytes
		f.Add("mpls 100" + strings.Repeat(again, (maxExpr-8)/len(again)))
	}
	frames := corpus.New(3).Frames(40, 30)
	var d packet.Decoder
	f.Fuzz(func(t *testing.T, expr string) {
		flt, err := Parse(expr, nil)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Pos < 0 || e.Pos > len(e.Expr) || e.Caret() == "" {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		var p packet.Packet
		for _, fr := range frames {
			d.Decode(&p, fr.Data, fr.WireLen, packet.Ethernet)
			flt.Match(&p, Meta{})
		}
	})
}
