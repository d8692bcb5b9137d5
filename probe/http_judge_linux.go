package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// judge says what an answer with a status means; err is of reading its body.
func (x *httpExchange) judge(res *http.Response, head []byte, err error) {
	a := &x.answer
	status := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.StatusText))
	x.class, x.summary = OK, status+", "+a.Proto
	if a.Status >= 400 {
		x.class = BadStatus
	}
	if wantsTLS(a.Status, head) && !x.p.req.TLS {
		x.class, x.summary = BadAnswer, "the port wants TLS (it answers "+status+")"
		x.hint = "ask with TLS (https)"
		return
	}
	if a.Location != "" && a.Status >= 300 && a.Status < 400 {
		x.summary = status + " → " + a.Location
	}
	switch {
	case err != nil:
		x.cut(status, err)
	case a.Body == "more":
		x.summary += ", more than 1 MiB"
	case a.Method != http.MethodHead:
		x.summary += ", " + size(a.BodyBytes)
	}
	if err == nil {
		x.summary += ", " + a.Times.Total.String()
	}
	if t := a.TLS; t != nil {
		switch {
		case len(t.Problems) > 0:
			x.summary += " (" + t.Problems[0] + ": accepted)"
		case t.Unverified != "":
			x.notCertain = "the certificate was not verified: " + t.Unverified
		case len(t.Chain) > 0 && t.Chain[0].DaysLeft < 14:
			x.hint = fmt.Sprintf("the certificate expires in %d days", t.Chain[0].DaysLeft)
		}
	}
}

// cut says what a body means that did not come whole.
func (x *httpExchange) cut(status string, err error) {
	a := &x.answer
	a.Body = "cut"
	got := size(a.BodyBytes)
	if a.ContentLength >= 0 {
		got += " of " + size(a.ContentLength)
	}
	class, reason := classifyErr(err)
	switch {
	case class == Timeout && a.ContentLength < 0 && a.BodyBytes > 0:
		// A stream of events looks so too.
		a.Body = "open"
		x.summary += fmt.Sprintf(", %s and no end within %s", got, waited(x.p.timeout))
		if x.class == OK {
			x.notCertain = "the answer did not end within " + waited(x.p.timeout) + ": a stream, or a page that stalls"
		}
		return
	case class == Timeout:
		x.class, x.summary = Timeout, fmt.Sprintf("%s, but its body stalls after %s", status, got)
		x.hint = "large packets that do not pass look like this: probe mtu"
	case class == Reset:
		x.class, x.summary = Reset, fmt.Sprintf("%s, but the connection is reset after %s", status, got)
	case errors.Is(err, io.ErrUnexpectedEOF):
		x.class, x.summary = BadAnswer, fmt.Sprintf("%s, but the connection ends after %s", status, got)
	default:
		x.class, x.summary = BadAnswer, fmt.Sprintf("%s, but its body fails after %s: %s", status, got, cleanText(or(reason, err.Error())))
	}
}

// failed says what it means that no answer came.
func (x *httpExchange) failed(ctx context.Context, err error) {
	if x.fault != nil {
		x.err = needsNetNS("http", x.p.from, x.fault)
		return
	}
	began := x.began
	var cert *certError
	var dial *DialError
	var record tls.RecordHeaderError
	var errno unix.Errno
	begins := fmt.Sprintf("begins with %q", cleanBytes(began))
	http1 := strings.HasPrefix(string(began), "HTTP/")
	switch {
	case errors.As(err, &cert):
		x.class, x.summary = BadTLS, cert.problem
	case errors.As(err, &dial):
		x.class, x.summary = dial.Class, or(dial.Reason, "no TCP connection within "+waited(x.p.timeout))
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		x.class = Timeout
		switch x.reached {
		case connecting:
			x.summary = "no TCP connection within " + waited(x.p.timeout)
		case shaking:
			x.summary = "connected, but no TLS handshake within " + waited(x.p.timeout)
			x.hint = "large packets that do not pass look like this: probe mtu"
		case reading:
			x.summary = "the answer's header does not end within " + waited(x.p.timeout)
		default:
			x.summary = "connected, but no answer within " + waited(x.p.timeout)
		}
	case x.p.req.TLS && x.reached == shaking || errors.As(err, &record):
		x.class = BadTLS
		switch {
		case http1:
			x.summary, x.hint = "the port speaks plain HTTP, not TLS", "ask without TLS (http)"
		case len(began) > 0 && !isTLS(began):
			x.summary = "the port does not speak TLS: it " + begins
		default:
			x.summary = "the TLS handshake fails: " + tlsReason(err)
		}
		if len(began) > 0 && !isTLS(began) {
			x.answer.Began = cleanBytes(began)
		}
	case x.p.req.TLS && strings.Contains(err.Error(), "tls: "):
		// With TLS 1.3 the server's opinion of the client's certificate comes after the handshake.
		x.class, x.summary = BadTLS, "the server ends TLS: "+tlsReason(err)
	case errors.As(err, &errno) && (errno == unix.ECONNRESET || errno == unix.EPIPE):
		x.class, x.summary = Reset, "connected, but the connection is reset before an answer"
	case !x.p.req.TLS && isTLS(began):
		x.class, x.summary, x.hint = BadAnswer, "the port speaks TLS, not plain HTTP", "ask with TLS (https)"
	case x.p.req.HTTP2 && !x.p.req.TLS && http1:
		x.class, x.summary = BadAnswer, "the port speaks HTTP/1, not HTTP/2"
	case strings.Contains(err.Error(), "headers exceeded"), strings.Contains(err.Error(), "header list larger"):
		x.class, x.summary = BadAnswer, fmt.Sprintf("the answer's header does not end after %d KiB", maxHeader>>10)
	case len(began) == 0:
		x.class, x.summary = BadAnswer, "connected, but the connection is closed without an answer"
	case http1 && !x.p.req.TLS:
		x.class, x.summary = BadAnswer, "the answer is no valid HTTP: "+cleanText(strings.TrimPrefix(err.Error(), "net/http: "))
	case x.p.req.TLS:
		x.class, x.summary = BadAnswer, "the answer is no valid HTTP: "+cleanText(err.Error())
	default:
		x.class, x.summary = BadAnswer, "the port answers, but not HTTP: it "+begins
		x.answer.Began = cleanBytes(began)
	}
}

// wantsTLS tells the answers of web servers to plain HTTP on their TLS port (Go, nginx, Apache).
func wantsTLS(status int, body []byte) bool {
	if status != http.StatusBadRequest {
		return false
	}
	b := strings.ToLower(string(body))
	for _, s := range []string{"http request to an https server", "plain http request was sent to https port", "speaking plain http to an ssl-enabled server port"} {
		if strings.Contains(b, s) {
			return true
		}
	}
	return false
}

// isTLS tells how a TLS record begins: alert, handshake or data of version 3.x (RFC 8446 §5.1).
func isTLS(b []byte) bool {
	return len(b) >= 3 && b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4
}

// tlsReason is an error of crypto/tls without its prefixes.
func tlsReason(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the server closes the connection"
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		_, reason := classifyErrno(errno)
		return reason
	}
	s := strings.TrimPrefix(err.Error(), "remote error: ")
	if s != err.Error() {
		return "the server says " + cleanText(strings.TrimPrefix(s, "tls: "))
	}
	return cleanText(strings.TrimPrefix(s, "tls: "))
}

// reason is what an attempt says of a failure; detail of an answer.
func (x *httpExchange) reason() string {
	if x.class == OK {
		return ""
	}
	return x.summary
}

func (x *httpExchange) detail() string {
	if x.answer.Status == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", x.answer.Status, x.answer.StatusText))
}
