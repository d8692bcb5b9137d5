package host

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// MaxAnswer bounds one HTTP answer. A list of 5000 containers takes some 10 MB.
const MaxAnswer = 64 << 20

// HTTPClient returns a client whose every connection is made by dial, and whose answers are bounded. It follows no
// redirects and asks no proxy. Done closes its idle connections.
func HTTPClient(dial func(ctx context.Context) (net.Conn, error)) (client *http.Client, done func()) {
	t := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression:     true,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Second,
		MaxResponseHeaderBytes: 1 << 16,
	}
	return &http.Client{
		Transport:     limited{t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t.CloseIdleConnections
}

type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxAnswer {
		resp.Body.Close()
		return nil, fmt.Errorf("answer of %d bytes: %w of %d", resp.ContentLength, ErrTooLarge, MaxAnswer)
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: MaxAnswer}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("answer: %w of %d bytes", ErrTooLarge, MaxAnswer)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
