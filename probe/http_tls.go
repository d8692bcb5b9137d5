package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// maxChain bounds how many certificates of a server are kept.
const maxChain = 10

// newTLSInfo describes a handshake, and checks the certificate against the roots (nil: the system's) for a name or address.
func newTLSInfo(cs *tls.ConnectionState, name string, roots *x509.CertPool, now time.Time) *TLSInfo {
	t := &TLSInfo{ServerName: name, Chain: []Certificate{}}
	t.Version, t.Cipher, t.ALPN = tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite), cleanText(cs.NegotiatedProtocol)
	for i, c := range cs.PeerCertificates {
		if i == maxChain {
			break
		}
		t.Chain = append(t.Chain, newCertificate(c, now))
	}
	if len(cs.PeerCertificates) == 0 {
		t.Problems = []string{"the server has no certificate"}
		return t
	}
	t.Problems, t.Unverified = verify(cs.PeerCertificates, name, roots, now)
	t.Verified = len(t.Problems) == 0 && t.Unverified == ""
	return t
}

func newCertificate(c *x509.Certificate, now time.Time) Certificate {
	out := Certificate{
		Subject: cleanText(c.Subject.String()), Issuer: cleanText(c.Issuer.String()), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		DaysLeft: days(c.NotAfter.Sub(now)),
	}
	for _, n := range c.DNSNames {
		out.Names = append(out.Names, cleanText(n))
	}
	for _, ip := range c.IPAddresses {
		out.Names = append(out.Names, ip.String())
	}
	return out
}

// days are whole days, rounded down: -1 for an hour ago.
func days(d time.Duration) int {
	n := int(d / (24 * time.Hour))
	if d < 0 && d%(24*time.Hour) != 0 {
		n--
	}
	return n
}

// verify looks for each thing that can be wrong with a certificate, one independent of the other: an expired one of an
// unknown authority is told as both.
func verify(chain []*x509.Certificate, name string, roots *x509.CertPool, now time.Time) (problems []string, unverified string) {
	leaf := chain[0]
	const day = "2006-01-02"
	at := now
	switch {
	case now.After(leaf.NotAfter):
		problems = append(problems, "certificate expired "+leaf.NotAfter.UTC().Format(day))
		at = leaf.NotAfter
	case now.Before(leaf.NotBefore):
		problems = append(problems, "certificate not valid before "+leaf.NotBefore.UTC().Format(day))
		at = leaf.NotBefore
	}
	if err := leaf.VerifyHostname(hostForVerify(name)); err != nil {
		names := newCertificate(leaf, now).Names
		is := "names nobody"
		if len(names) > 0 {
			is = "is for " + joinSome(names, 3)
		}
		problems = append(problems, fmt.Sprintf("certificate %s, not for %s", is, name))
	}
	if roots == nil {
		system, err := x509.SystemCertPool()
		if err != nil || system.Equal(x509.NewCertPool()) {
			return problems, "no CA certificates here"
		}
		roots = system
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at})
	if err != nil {
		problems = append(problems, chainProblem(err, leaf))
	}
	return problems, ""
}

func hostForVerify(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		return "[" + a.WithZone("").String() + "]" // VerifyHostname takes what is in brackets for an address
	}
	return name
}

// chainProblem names what is wrong with a chain.
func chainProblem(err error, leaf *x509.Certificate) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown) && leaf.Subject.String() == leaf.Issuer.String():
		return "certificate is signed by itself, not by an authority that is trusted here"
	case errors.As(err, &unknown):
		return "certificate of an unknown authority: " + cleanText(leaf.Issuer.String())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && !invalid.Cert.Equal(leaf):
		return "an authority's certificate is out of date: " + cleanText(invalid.Cert.Subject.String())
	}
	return "certificate: " + cleanText(strings.TrimPrefix(err.Error(), "x509: "))
}

// certError ends a handshake whose certificate is not accepted.
type certError struct{ problem string }

func (e *certError) Error() string { return e.problem }
