package probe

// HTTPAnswer is what HTTP found beside its attempts.
type HTTPAnswer struct{}

// Request is what to ask a web server for.
type Request struct {
	// TLS asks for https; HTTP2 for HTTP/2 also without TLS (prior knowledge).
	TLS, HTTP2 bool
	// Method is GET or HEAD, "" GET. Host is the Host header and the TLS server name, "" what TO is called. Path begins with /.
	Method, Host, Path string
	// Insecure accepts any certificate, and still says what is wrong with it.
	Insecure bool
	// Headers are added: "Name: value".
	Headers []string
}
