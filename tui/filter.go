package tui

import "strings"

// filter is what `/` was given: words, all of which must match; one with ! in front must not.
type filter struct {
	text  string
	terms []term
}

type term struct {
	word string // lower case
	not  bool
}

func parseFilter(text string) filter {
	f := filter{text: text}
	for _, w := range strings.Fields(strings.ToLower(text)) {
		t := term{word: strings.TrimPrefix(w, "!")}
		if t.not = t.word != w; t.word != "" {
			f.terms = append(f.terms, t)
		}
	}
	return f
}

// match tells whether a thing with the given name and other fields passes. A word matches where it is part of any field, or
// where its letters come in the name in order, the first at the start of a word: "wb3" finds "web-3".
func (f filter) match(name string, fields ...string) bool {
	if len(f.terms) == 0 {
		return true
	}
	name = strings.ToLower(name)
	for _, t := range f.terms {
		hit := strings.Contains(name, t.word)
		for i := 0; i < len(fields) && !hit; i++ {
			hit = strings.Contains(strings.ToLower(fields[i]), t.word)
		}
		if !hit && !t.not {
			hit = fuzzy(name, t.word)
		}
		if hit == t.not {
			return false
		}
	}
	return true
}

// fuzzy tells whether the letters of word come in name in their order, the first of them at the start of a word.
func fuzzy(name, word string) bool {
	if len(word) < 2 {
		return false
	}
	for i := range len(name) {
		if name[i] == word[0] && (i == 0 || !wordByte(name[i-1]) || digitByte(name[i]) != digitByte(name[i-1])) && ordered(name[i+1:], word[1:]) {
			return true
		}
	}
	return false
}

func ordered(s, word string) bool {
	for i := range len(word) {
		at := strings.IndexByte(s, word[i])
		if at < 0 {
			return false
		}
		s = s[at+1:]
	}
	return true
}

func wordByte(c byte) bool { return c >= 'a' && c <= 'z' || digitByte(c) || c >= 0x80 }

func digitByte(c byte) bool { return c >= '0' && c <= '9' }
