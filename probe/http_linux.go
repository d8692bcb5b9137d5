package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultHTTPTimeout = 5 * time.Second
	maxBody            = 1 << 20
	maxHeader          = 256 << 10
)

// HTTP asks a web server at TO's address for a page. Count is how often (default 1), each by a connection of its own, Timeout
// how long one may take as a whole (default 5 s), Interval the time between two (default 1 s). The name is resolved once, by
// FROM. No proxy is used, no redirect followed, at most 1 MiB of the answer read.
//
// OK is that every answer has a status below 400; from 400 on it is BadStatus, which still proves that the server is reached.
// A certificate that is not accepted is BadTLS. Without CA certificates on nscope's host what can be checked is (dates, name),
// and the result says that the rest was not.
func HTTP(ctx context.Context, from *From, to To, o Options, req Request) (*Result, error) {
	if to.Port == 0 {
		to.Port = 80
		if req.TLS {
			to.Port = 443
		}
	}
	p := &httpProbe{r: newResult("http", from, to, o), from: from, o: o, req: req, timeout: or(o.Timeout, defaultHTTPTimeout), pace: o.pace()}
	p.r.HTTP = &HTTPAnswer{Method: or(req.Method, http.MethodGet), ContentLength: -1}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	start := time.Now()
	byName := len(to.Addrs) == 0
	addr, ok, err := from.target(ctx, &to, o, p.r)
	if err != nil || !ok {
		return p.r, err
	}
	if byName {
		p.dns = Millis(time.Since(start))
	}
	p.remote = netip.AddrPortFrom(addr, to.Port)
	if err := p.prepare(to); err != nil {
		return nil, err
	}
	return p.run(ctx)
}

// httpProbe is one run of HTTP.
type httpProbe struct {
	r       *Result
	from    *From
	o       Options
	req     Request
	timeout time.Duration
	pace    *Pacer
	dns     MS
	remote  netip.AddrPort
	url     *url.URL
	host    string // the Host header
	name    string // for the certificate
	header  http.Header
}

// prepare makes the request's parts.
func (p *httpProbe) prepare(to To) (err error) {
	if m := p.r.HTTP.Method; m != http.MethodGet && m != http.MethodHead {
		return optionf("HTTP method %q is neither GET nor HEAD", m)
	}
	if p.url, err = url.ParseRequestURI(or(p.req.Path, "/")); err != nil || p.url.Host != "" || !strings.HasPrefix(p.url.Path, "/") {
		return optionf("%q is no path of a web page", p.req.Path)
	}
	scheme, usual := "http", uint16(80)
	if p.req.TLS {
		scheme, usual = "https", 443
	}
	p.header = http.Header{"User-Agent": {"nscope"}, "Accept": {"*/*"}}
	host := p.req.Host
	for _, h := range p.req.Headers {
		name, value, ok := strings.Cut(h, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || strings.ContainsAny(h, "\r\n"):
			return optionf("header %q is not \"Name: value\"", h)
		case strings.EqualFold(name, "Host"):
			host = value
		default:
			p.header.Add(name, value)
		}
	}
	if host == "" {
		for _, n := range []string{to.Host, to.Name, to.Asked} {
			if host = n; isHostname(n) {
				break
			}
			host = ""
		}
	}
	given := ""
	p.name = host
	if h, port, err := net.SplitHostPort(host); err == nil {
		p.name, given = h, port
	}
	p.name = strings.Trim(p.name, "[]")
	if p.name == "" {
		p.name = p.remote.Addr().WithZone("").String()
	}
	if p.name = strings.TrimSuffix(p.name, "."); !isHostname(p.name) {
		if _, err := netip.ParseAddr(p.name); err != nil {
			return optionf("%q is no name of a web server", host)
		}
	}
	p.host = p.name
	if strings.Contains(p.name, ":") {
		p.host = "[" + p.name + "]"
	}
	if given != "" {
		p.host += ":" + given
	} else if p.remote.Port() != usual {
		p.host = fmt.Sprintf("%s:%d", p.host, p.remote.Port())
	}
	p.url.Scheme, p.url.Host = scheme, p.host
	p.r.HTTP.URL = p.url.String()
	return nil
}

// isHostname tells what can stand in a Host header: letters, digits, dots, dashes, and the underscores of containers.
func isHostname(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

func (p *httpProbe) run(ctx context.Context) (*Result, error) {
	count := or(p.o.Count, 1)
	if p.o.Count == 0 && p.o.For > 0 {
		count = math.MaxInt
	}
	var good, all int
	var last, failed *httpExchange
	for n := range count {
		if n > 0 && sleep(ctx, or(p.o.Interval, time.Second)) != nil {
			break
		}
		if p.pace.Wait(ctx) != nil {
			break
		}
		x := p.exchange(ctx)
		if x.err != nil {
			return nil, x.err
		}
		if ctx.Err() != nil && x.class != OK {
			break
		}
		all++
		last = x
		if x.class == OK {
			good++
		} else {
			failed = x
		}
		a := Attempt{Seq: n, At: x.start, MS: x.answer.Times.Total, Class: x.class, Reason: x.reason(), Local: x.answer.Local, Remote: p.remote, Detail: x.detail()}
		if len(x.began) > 0 {
			a.By = p.remote.Addr()
		}
		p.r.add(p.o, a)
	}
	if last == nil {
		return p.r.end(Timeout, "interrupted before an answer came"), nil
	}
	if failed != nil {
		last = failed
	}
	p.r.HTTP, p.r.NotCertain, p.r.Hint = &last.answer, last.notCertain, last.hint
	if p.r.From.Addr = last.answer.Local.Addr(); !p.r.From.Addr.IsValid() {
		p.r.From.Addr = p.o.Src
	}
	summary := last.summary
	if all > 1 {
		summary = fmt.Sprintf("%d/%d ok, %s", good, all, summary)
	}
	return p.r.end(last.class, summary), nil
}

// httpExchange is one request.
type httpExchange struct {
	p          *httpProbe
	answer     HTTPAnswer
	class      Class
	summary    string
	notCertain string
	hint       string
	err        error // what kept it from asking

	start time.Time
	conn  *firstBytes
	mu    sync.Mutex // the transport's goroutines call back
	stage stage
	mark  time.Time // when the stage began
	times HTTPTimes
	tls   *TLSInfo
	fault error // a dial error that is none of the network's

	// What finish took over, for what comes after the request.
	reached stage
	began   []byte
}

// stage is how far a request has come.
type stage int

const (
	connecting stage = iota
	shaking
	sending
	waiting
	reading
)

// next ends a stage and returns how long it took.
func (x *httpExchange) next(to stage) MS {
	now := time.Now()
	took := Millis(now.Sub(x.mark))
	x.stage, x.mark = to, now
	return took
}

func (x *httpExchange) locked(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// exchange asks once, by a connection of its own.
func (p *httpProbe) exchange(ctx context.Context) *httpExchange {
	x := &httpExchange{p: p, start: time.Now(), answer: *p.r.HTTP}
	x.answer.Remote = p.remote
	x.mark = x.start
	if len(p.r.Attempts) == 0 {
		x.times.DNS = p.dns
	}
	sub, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	tr := p.transport(x)
	defer tr.CloseIdleConnections()
	defer func() {
		x.mu.Lock()
		c := x.conn
		x.mu.Unlock()
		if c != nil {
			c.Close()
		}
	}()
	trace := &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				x.locked(func() { x.times.TLS = x.next(sending) })
			}
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { x.locked(func() { x.next(waiting) }) },
		GotFirstResponseByte: func() { x.locked(func() { x.times.FirstByte = x.next(reading) }) },
	}
	req := (&http.Request{Method: x.answer.Method, URL: p.url, Host: p.host, Header: p.header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).
		WithContext(httptrace.WithClientTrace(sub, trace))
	res, err := tr.RoundTrip(req)
	if err != nil {
		x.locked(func() { x.finish() })
		x.failed(sub, err)
		return x
	}
	head, err := x.read(res)
	x.locked(func() { x.finish() })
	x.judge(res, head, err)
	return x
}

// finish takes over the times.
func (x *httpExchange) finish() {
	if x.stage == reading {
		x.times.Body = Millis(time.Since(x.mark))
	}
	x.times.Total = Millis(time.Since(x.start)) + x.times.DNS
	x.answer.Times, x.answer.TLS = x.times, x.tls
	x.reached = x.stage
	if x.conn != nil {
		x.answer.Local, x.began = x.conn.local(), x.conn.first()
	}
}

// transport makes one that serves a single request.
func (p *httpProbe) transport(x *httpExchange) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!p.req.HTTP2)
	protocols.SetHTTP2(p.req.TLS)
	protocols.SetUnencryptedHTTP2(p.req.HTTP2 && !p.req.TLS)
	return &http.Transport{
		Protocols: protocols, DisableCompression: true, MaxResponseHeaderBytes: maxHeader, MaxConnsPerHost: 1,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := p.from.Dial(ctx, "tcp", p.remote, p.o)
			x.mu.Lock()
			defer x.mu.Unlock()
			if err != nil {
				var d *DialError
				if !errors.As(err, &d) {
					x.fault = err
				}
				return nil, err
			}
			next := sending
			if p.req.TLS {
				next = shaking
			}
			x.times.Connect = x.next(next)
			x.conn = &firstBytes{Conn: c}
			return x.conn, nil
		},
		TLSClientConfig: &tls.Config{
			ServerName:         p.name,
			InsecureSkipVerify: true, // it is verified below, so that each thing that is wrong can be told
			VerifyConnection: func(cs tls.ConnectionState) error {
				t := newTLSInfo(&cs, p.name, p.req.Roots, time.Now())
				x.locked(func() { x.tls = t })
				switch {
				case len(t.Problems) > 0 && !p.req.Insecure:
					return &certError{strings.Join(t.Problems, "; ")}
				case p.req.HTTP2 && cs.NegotiatedProtocol != "h2":
					return &certError{"the server does not offer HTTP/2"}
				}
				return nil
			},
		},
	}
}

// read reads the body and returns its beginning.
func (x *httpExchange) read(res *http.Response) (head []byte, err error) {
	defer res.Body.Close()
	a := &x.answer
	a.Status, a.Proto = res.StatusCode, cleanText(res.Proto)
	a.StatusText = cleanText(strings.TrimSpace(strings.TrimPrefix(res.Status, fmt.Sprint(res.StatusCode))))
	if a.StatusText == "" {
		a.StatusText = http.StatusText(res.StatusCode)
	}
	h := res.Header
	a.Server, a.Location, a.ContentType = cleanText(h.Get("Server")), cleanText(h.Get("Location")), cleanText(h.Get("Content-Type"))
	a.ContentLength = res.ContentLength
	if a.Method == http.MethodHead {
		return nil, nil
	}
	var b strings.Builder
	n, err := io.CopyN(&keepFirst{&b, 4096}, res.Body, maxBody)
	a.BodyBytes = n
	switch {
	case errors.Is(err, io.EOF):
		err = nil
		if a.Body = "whole"; n == 0 {
			a.Body = ""
		}
	case err == nil:
		if more, e := res.Body.Read(make([]byte, 1)); more > 0 {
			a.Body = "more"
		} else if errors.Is(e, io.EOF) {
			a.Body = "whole"
		} else {
			a.Body = "more"
		}
	}
	return []byte(b.String()), err
}

// keepFirst keeps the first bytes that are written.
type keepFirst struct {
	b    *strings.Builder
	most int
}

func (k *keepFirst) Write(b []byte) (int, error) {
	k.b.Write(b[:max(0, min(len(b), k.most-k.b.Len()))])
	return len(b), nil
}

// firstBytes is a connection that remembers how what came began.
type firstBytes struct {
	net.Conn
	mu    sync.Mutex
	began []byte
}

func (c *firstBytes) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := 48 - len(c.began); room > 0 {
		c.began = append(c.began, b[:min(n, room)]...)
	}
	return n, err
}

func (c *firstBytes) first() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.began)
}

func (c *firstBytes) local() netip.AddrPort {
	a, _ := netip.ParseAddrPort(c.LocalAddr().String())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// needsNetNS explains an error of opening a socket that is about a permission.
func needsNetNS(kind string, from *From, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &NeedsError{Probe: kind, From: from.Name, Needs: "CAP_SYS_ADMIN", Why: "to enter its network namespace", Err: err}
}
