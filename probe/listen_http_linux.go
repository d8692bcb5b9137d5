package probe

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// http answers requests until the listener is closed.
func (x *listener) http(l net.Listener) {
	s := &http.Server{
		Handler:           http.HandlerFunc(x.request),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(&limited{l, x})
	}()
	<-x.ctx.Done()
	s.Close()
	<-done
}

// limited is a listener that closes connections above the limit.
type limited struct {
	net.Listener
	x *listener
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.x.admit(c) {
			return &counted{Conn: c, x: l.x}, nil
		}
	}
}

// counted is a connection that gives its place back once.
type counted struct {
	net.Conn
	x      *listener
	closed bool
}

func (c *counted) Close() error {
	c.x.mu.Lock()
	first := !c.closed
	c.closed = true
	c.x.mu.Unlock()
	if first {
		c.x.open.Add(-1)
	}
	return c.Conn.Close()
}

// request says who asked, what and how.
func (x *listener) request(w http.ResponseWriter, q *http.Request) {
	started := time.Now()
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, q.Body, 1<<20))
	local, _ := q.Context().Value(http.LocalAddrContextKey).(net.Addr)
	a := Attempt{At: started, Size: int(n)}
	if p, e := parseAddrPort(q.RemoteAddr); e == nil {
		a.Remote = p
	}
	if local != nil {
		a.Local = addrPortOf(local)
	}
	status := http.StatusOK
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		status = http.StatusRequestEntityTooLarge
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	var b strings.Builder
	fmt.Fprintf(&b, "from: %v\nto: %v\nat: %s\n%s %s %s\nhost: %s\n", a.Remote, a.Local, x.at.Name, q.Method, q.URL.RequestURI(), q.Proto, q.Host)
	var names []string
	for name := range q.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range q.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if n > 0 {
		fmt.Fprintf(&b, "\n%d bytes of body\n", n)
	}
	io.WriteString(w, b.String())
	a.MS = Millis(time.Since(started))
	a.Detail = fmt.Sprintf("http: %s %s, %d", q.Method, shortened(q.URL.RequestURI(), 60), status)
	x.saw(a, func(s *ListenStats) { s.Requests++ })
}
