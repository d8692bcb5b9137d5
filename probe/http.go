package probe

import (
	"crypto/x509"
	"net/netip"
	"time"
)

// HTTPAnswer is what HTTP found beside its attempts: the last answer.
type HTTPAnswer struct {
	// URL and Method are what was asked for; HostHeader is the name sent in it.
	URL    string `json:"url"`
	Method string `json:"method"`
	// Local and Remote are the ends of the connection; zero where there was none.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// Status is the code, 0 where no answer came; StatusText what the server calls it; Proto "HTTP/1.1", "HTTP/2.0".
	Status     int    `json:"status,omitempty"`
	StatusText string `json:"status_text,omitempty"`
	Proto      string `json:"proto,omitempty"`
	// Some headers, as they came. ContentLength is -1 where the server did not say.
	Server        string `json:"server,omitempty"`
	Location      string `json:"location,omitempty"`
	ContentType   string `json:"content_type,omitempty"`
	ContentLength int64  `json:"content_length"`
	// BodyBytes are how many bytes of the body were read (at most 1 MiB); Body is "whole", "more" (not read to its end),
	// "open" (no end came in time and none was announced), "cut" (it ended too early or stalled), "" where there was none.
	BodyBytes int64  `json:"body_bytes"`
	Body      string `json:"body,omitempty"`
	// TLS is nil without TLS.
	TLS *TLSInfo `json:"tls,omitempty"`
	// Times are of the last attempt, Began what an answer began with that is no HTTP.
	Times HTTPTimes `json:"times"`
	Began string    `json:"began,omitempty"`
}

// HTTPTimes say where the time went. Each is how long that part took; Total is from the beginning to the end of the body.
type HTTPTimes struct {
	DNS       MS `json:"dns"`        // resolving the name, 0 where the address was known
	Connect   MS `json:"connect"`    // TCP
	TLS       MS `json:"tls"`        // the handshake
	FirstByte MS `json:"first_byte"` // from the request's end to the first byte of the answer
	Body      MS `json:"body"`
	Total     MS `json:"total"`
}

// TLSInfo is what the handshake brought.
type TLSInfo struct {
	// ServerName is the name that the certificate is to be for, an address in its place where TO has no name.
	ServerName string `json:"server_name"`
	// Version is "TLS 1.3", Cipher its suite, ALPN the protocol that was agreed on ("h2", "http/1.1", "").
	Version string `json:"version,omitempty"`
	Cipher  string `json:"cipher,omitempty"`
	ALPN    string `json:"alpn,omitempty"`
	// Chain is what the server sent, its own certificate first. Never null.
	Chain []Certificate `json:"chain"`
	// Verified tells that nothing is wrong with it; Problems are what is, the gravest first. Unverified says why it could
	// not be checked at all ("no CA certificates here").
	Verified   bool     `json:"verified"`
	Problems   []string `json:"problems,omitempty"`
	Unverified string   `json:"unverified,omitempty"`
}

// Certificate is one of the chain.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"` // DNS names and addresses that it is for
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// DaysLeft are whole days until NotAfter, negative after it.
	DaysLeft int `json:"days_left"`
}

// Request is what to ask a web server for.
type Request struct {
	// TLS asks for https; HTTP2 for HTTP/2 only, also without TLS (prior knowledge). Without it TLS offers HTTP/2 and HTTP/1.1.
	TLS, HTTP2 bool
	// Method is GET or HEAD, "" GET. Host is the Host header and the TLS server name, "" what TO is called. Path begins with /.
	Method, Host, Path string
	// Insecure accepts any certificate, and still says what is wrong with it.
	Insecure bool
	// Headers are added: "Name: value".
	Headers []string
	// Roots are the authorities to trust; nil means those of the system that nscope runs on.
	Roots *x509.CertPool
}
