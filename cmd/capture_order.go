package cmd

import (
	"cmp"
	"slices"
)

// lineOrder puts lines of several namespaces into the order of time: each waits until nothing can come before it any more.
type lineOrder struct {
	bytes, spare []byte // the lines, one behind the other
	lines        []waitingLine
	ordered      int // how many of them are in the order of time
	said         int // how many bytes are of lines that were said
}

// waitingLine is where a line stands in the bytes: of two of one moment, the one that came first stands first.
type waitingLine struct {
	nanos    int64
	from, to int
}

// add takes the line that was appended to the bytes from there on.
func (o *lineOrder) add(nanos int64, from int) {
	if n := len(o.lines); o.ordered == n && (n == 0 || o.lines[n-1].nanos <= nanos) {
		o.ordered++
	}
	o.lines = append(o.lines, waitingLine{nanos, from, len(o.bytes)})
}

// release appends the lines of before a moment.
func (o *lineOrder) release(out []byte, before int64) []byte {
	if o.ordered < len(o.lines) {
		slices.SortFunc(o.lines, func(a, b waitingLine) int { return cmp.Or(cmp.Compare(a.nanos, b.nanos), cmp.Compare(a.from, b.from)) })
		o.ordered = len(o.lines)
	}
	n := 0
	for ; n < len(o.lines) && o.lines[n].nanos < before; n++ {
		l := o.lines[n]
		out = append(out, o.bytes[l.from:l.to]...)
		o.said += l.to - l.from
	}
	o.lines = slices.Delete(o.lines, 0, n)
	o.ordered -= n
	if o.said > len(o.bytes)/2 {
		o.compact()
	}
	return out
}

// compact takes lines that were said away: what is left is less than that.
func (o *lineOrder) compact() {
	kept := o.spare[:0]
	for i := range o.lines {
		l := &o.lines[i]
		from := len(kept)
		kept = append(kept, o.bytes[l.from:l.to]...)
		l.from, l.to = from, len(kept)
	}
	o.bytes, o.spare, o.said = kept, o.bytes, 0
}
