package probe

import (
	"fmt"
	"io"
	"strings"
)

// httpDetail prints the request, where the time went, some headers, the certificates.
func httpDetail(w io.Writer, r *Result) {
	a := r.HTTP
	if a == nil || a.URL == "" {
		return
	}
	wrap(w, "  ", a.Method+" "+a.URL, " ")
	if len(r.Attempts) > 1 {
		for _, at := range r.Attempts {
			wrap(w, "  ", fmt.Sprintf("%d: %s  %s", at.Seq+1, at.MS, or(at.Reason, at.Detail)), " ")
		}
	}
	var parts []string
	for _, t := range []struct {
		name string
		ms   MS
	}{{"dns", a.Times.DNS}, {"connect", a.Times.Connect}, {"tls", a.Times.TLS}, {"first byte", a.Times.FirstByte}, {"body", a.Times.Body}} {
		if t.ms > 0 {
			parts = append(parts, t.name+" "+t.ms.String())
		}
	}
	if len(parts) > 0 {
		wrap(w, "  ", "time: "+strings.Join(parts, ", "), ", ")
	}
	parts = nil
	for _, h := range []struct{ name, value string }{{"server", a.Server}, {"type", a.ContentType}, {"location", a.Location}} {
		if h.value != "" {
			parts = append(parts, h.name+" "+h.value)
		}
	}
	if len(parts) > 0 {
		wrap(w, "  ", strings.Join(parts, ", "), ", ")
	}
	if a.TLS != nil {
		a.TLS.text(w)
	}
}

func (t *TLSInfo) text(w io.Writer) {
	parts := []string{t.Version, t.Cipher}
	if t.ALPN != "" {
		parts = append(parts, t.ALPN)
	}
	wrap(w, "  ", strings.Join(parts, ", ")+", asked for "+t.ServerName, ", ")
	for i, c := range t.Chain {
		left := fmt.Sprintf("%d days left", c.DaysLeft)
		if c.DaysLeft < 0 {
			left = fmt.Sprintf("expired %d days ago", -c.DaysLeft-1)
		}
		wrap(w, "  ", fmt.Sprintf("certificate %d: %s", i+1, or(c.Subject, "(no subject)")), " ")
		if len(c.Names) > 0 {
			wrap(w, "    ", "for "+joinSome(c.Names, 6), ", ")
		}
		wrap(w, "    ", "by "+c.Issuer, " ")
		wrap(w, "    ", fmt.Sprintf("from %s to %s (%s)", c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"), left), " ")
	}
	switch {
	case t.Verified:
		fmt.Fprintln(w, "  verified: dates, name and authority are right")
	case len(t.Problems) > 0:
		for _, p := range t.Problems {
			wrap(w, "  ", "not verified: "+p, " ")
		}
	default:
		wrap(w, "  ", "not verified: "+t.Unverified, " ")
	}
}

// size prints a number of bytes.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// cleanBytes makes the beginning of an answer safe to print.
func cleanBytes(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, strings.TrimRight(string(b), "\r\n"))
}
