package ruleset

import "github.com/nscope/nscope/inspect/snapshot"

// oddsOf is the share of packets for which a condition holds that draws lots or counts, 0 for any other: a random number
// below a limit (of 2^31 in xt_statistic.c, of Mod in nft_numgen.c), every nth packet.
func oddsOf(c *snapshot.NfMatch) float64 {
	o := &c.Left
	if len(c.Values) == 0 || c.Set != "" || c.Right != nil || o.Mask != "" || o.Xor != "" || o.Shift != 0 {
		return 0
	}
	n := c.Values[0].Num
	if n == nil {
		return 0
	}
	var p float64
	switch {
	case o.Kind == "xt" && o.Key == "statistic random" && (c.Op == snapshot.NfLt || c.Op == snapshot.NfGe):
		p = float64(n.From) / (1 << 31)
	case o.Kind == "xt" && o.Key == "statistic nth" && o.Mod > 0 && (c.Op == snapshot.NfEq || c.Op == snapshot.NfNe):
		p = 1 / float64(o.Mod)
	case o.Kind == "numgen" && o.Mod > 0 && (c.Op == snapshot.NfLt || c.Op == snapshot.NfGe):
		p = (float64(n.From) - float64(o.Add)) / float64(o.Mod)
	case o.Kind == "numgen" && (c.Op == snapshot.NfEq || c.Op == snapshot.NfNe):
		for i := range c.Values {
			p += drawn(o, c.Values[i].Num)
		}
	}
	if c.Op == snapshot.NfGe || c.Op == snapshot.NfNe {
		p = 1 - p
	}
	if p <= 0 || p >= 1 {
		return 0
	}
	return p
}

// drawn is the share of a range among the numbers that are drawn: Mod of them, from Add on.
func drawn(o *snapshot.NfOperand, n *snapshot.NfNum) float64 {
	if o.Kind != "numgen" || o.Mod == 0 || n == nil {
		return 0
	}
	from, to := max(n.From, uint64(o.Add)), min(n.To, uint64(o.Add)+uint64(o.Mod)-1)
	if from > to {
		return 0
	}
	return float64(to-from+1) / float64(o.Mod)
}

// total of shares. What is a hair from everything is everything.
func total(odds []float64) (sum float64) {
	for _, p := range odds {
		sum += p
	}
	if sum > 1-1e-9 {
		return 1
	}
	return sum
}
