// Package text says a packet in one line, for eyes and grep, or as one JSON object.
//
//	l := text.Lines{Name: names}             // Name gives an address's name as seen from a place, "" for none
//	buf = l.Append(buf[:0], &text.Event{Packet: &p, Nanos: t, Place: place, Dir: text.Out})
//
// What is said of an application (DNS, HTTP, TLS) is read from its bytes, never guessed from a port. Everything that came off the
// wire is made printable.
package text
