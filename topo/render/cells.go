package render

// What draws cell by cell (the interactive view) cleans, measures and cuts names as the text renderers do.

// Clean makes s harmless to print: control characters, invalid UTF-8, and what changes direction or has no width become
// visible escapes; with [Options.ASCII] so does everything above 0x7e.
func (o Options) Clean(s string) string { return o.clean(s) }

// Cut shortens s to at most w columns, ending in an ellipsis where something was cut. s must be clean.
func (o Options) Cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	return o.truncate(s, w)
}

// CutMiddle is [Options.Cut] that keeps the end as well as the start.
func (o Options) CutMiddle(s string, w int) string {
	if w <= 0 {
		return ""
	}
	return o.truncateMiddle(s, w)
}

// TextWidth is the number of columns that s takes in a terminal.
func TextWidth(s string) int { return textWidth(s) }

// Natural compares names as people count: "web-2" comes before "web-10".
func Natural(a, b string) int { return natural(a, b) }

// ShortTask is the name of a Swarm task's container without the task's id, other names as they are.
func ShortTask(name string) string { return shortTask(name) }
