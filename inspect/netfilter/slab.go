package netfilter

// slab gives out many short slices of one kind that live as long as each other: the rules of a namespace. One allocation serves many.
type slab[T any] struct {
	free []T
	next int
}

// take returns n zero values, of which no other slice knows.
func (s *slab[T]) take(n int) []T {
	if n > len(s.free) {
		s.next = min(max(2*s.next, 8), 128)
		s.free = make([]T, max(n, s.next))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

// one returns a slice of one value.
func (s *slab[T]) one(v T) []T {
	out := s.take(1)
	out[0] = v
	return out
}
