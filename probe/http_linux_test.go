package probe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().AddDate(-20, 0, 0), NotAfter: time.Now().AddDate(20, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate for a name and 10.61.0.2, valid from and to so many days from now.
func (a *authority) issue(t testing.TB, name string, from, to int) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().AddDate(0, 0, from), NotAfter: time.Now().AddDate(0, 0, to),
	}
	if name == "web" {
		c.IPAddresses = []net.IP{net.ParseIP("10.61.0.2"), net.ParseIP("fd61::2")}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// listenIn listens inside a namespace.
func listenIn(t testing.TB, s *netlab.Space, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	must(t, s.Do(func() (err error) { l, err = net.Listen("tcp", addr); return err }))
	t.Cleanup(func() { l.Close() })
	return l
}

// webServer serves a handler, by TLS where there is a certificate.
func webServer(t testing.TB, s *netlab.Space, addr string, h http.Handler, certs ...tls.Certificate) {
	t.Helper()
	l := listenIn(t, s, addr)
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if len(certs) > 0 {
			srv.TLSConfig = &tls.Config{Certificates: certs}
			srv.ServeTLS(l, "", "")
		} else {
			srv.Serve(l)
		}
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
}

// rawServer hands each connection to f.
func rawServer(t testing.TB, s *netlab.Space, addr string, f func(c *net.TCPConn)) {
	t.Helper()
	l := listenIn(t, s, addr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 100)
	n := 0
	accepted := make(chan int, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- n
				return
			}
			n++
			go func() {
				defer func() { done <- struct{}{} }()
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		cancel()
		for range <-accepted {
			<-done
		}
	})
}

// after reads the request's first bytes and then writes.
func after(text string, then func(c *net.TCPConn)) func(c *net.TCPConn) {
	return func(c *net.TCPConn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, text)
		if then != nil {
			then(c)
		}
	}
}

func reset(c *net.TCPConn) { c.SetLinger(0) }
func hang(c *net.TCPConn)  { io.Copy(io.Discard, c) }

func TestHTTP(t *testing.T) {
	a, b := pair(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "test")
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("X-Me"))
	})
	mux.Handle("/old", http.RedirectHandler("https://elsewhere.example/new", http.StatusMovedPermanently))
	mux.Handle("/none", http.NotFoundHandler())
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, "late")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 65536)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 700<<10)) })
	ca, other := newAuthority(t, "test CA"), newAuthority(t, "other CA")
	day := func(n int) string { return time.Now().AddDate(0, 0, n).UTC().Format("2006-01-02") }
	webServer(t, b, "10.61.0.2:80", mux)
	webServer(t, b, "[fd61::2]:80", mux)
	webServer(t, b, "10.61.0.2:443", mux, ca.issue(t, "web", -1, 90))
	webServer(t, b, "10.61.0.2:1001", mux, ca.issue(t, "web", -90, -7))
	webServer(t, b, "10.61.0.2:1002", mux, ca.issue(t, "web", 7, 90))
	webServer(t, b, "10.61.0.2:1003", mux, ca.issue(t, "shop", -1, 90))
	webServer(t, b, "10.61.0.2:1004", mux, other.issue(t, "web", -1, 90))
	webServer(t, b, "10.61.0.2:1005", mux, other.issue(t, "shop", -90, -7))
	webServer(t, b, "10.61.0.2:1006", mux, tls.Certificate{Certificate: [][]byte{other.cert.Raw}, PrivateKey: other.key})
	webServer(t, b, "10.61.0.2:1007", mux, ca.issue(t, "web", -1, 5))
	rawServer(t, b, "10.61.0.2:2001", after("", reset))
	rawServer(t, b, "10.61.0.2:2002", after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", func(c *net.TCPConn) { time.Sleep(20 * time.Millisecond); reset(c) }))
	rawServer(t, b, "10.61.0.2:2003", after("SSH-2.0-OpenSSH_9.2\r\n", hang))
	rawServer(t, b, "10.61.0.2:2004", after("", nil))
	rawServer(t, b, "10.61.0.2:2005", hang)
	rawServer(t, b, "10.61.0.2:2006", after("HTTP/1.1 200 OK\r\n", func(c *net.TCPConn) {
		for {
			if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 8000)+"\r\n"); err != nil {
				return
			}
		}
	}))
	rawServer(t, b, "10.61.0.2:2007", after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", hang))
	rawServer(t, b, "10.61.0.2:2008", after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", nil))
	rawServer(t, b, "10.61.0.2:2009", after("\x15\x03\x01\x00\x02\x02\x46", nil))
	rawServer(t, b, "10.61.0.2:2010", after("HTTP/1.1 boo\r\n\r\n", nil))
	rawServer(t, b, "10.61.0.2:2011", after("HTTP/1.1 400 Bad Request\r\n\r\n<h1>The plain HTTP request was sent to HTTPS port", nil))

	tlsReq := probe.Request{TLS: true, Host: "web", Roots: ca.pool}
	insecure := tlsReq
	insecure.Insecure = true
	h2, tlsH2, noName, empty := probe.Request{HTTP2: true}, tlsReq, probe.Request{TLS: true, Roots: ca.pool}, tlsReq
	tlsH2.HTTP2 = true
	empty.Roots = x509.NewCertPool()
	get := func(path string) probe.Request { return probe.Request{Path: path} }
	for _, x := range []struct {
		what    string
		port    uint16
		req     probe.Request
		class   probe.Class
		summary string
		short   bool // something stays silent
	}{
		{"plain", 80, probe.Request{}, probe.OK, "200 OK, HTTP/1.1, 16 bytes, ", false},
		{"host, path and header", 80, probe.Request{Host: "a.example", Path: "/x?y=1", Headers: []string{"X-Me: you"}}, probe.OK, "200 OK, HTTP/1.1, 24 bytes", false},
		{"HEAD", 80, probe.Request{Method: "HEAD"}, probe.OK, "200 OK, HTTP/1.1, ", false},
		{"redirect", 80, get("/old"), probe.OK, "301 Moved Permanently → https://elsewhere.example/new", false},
		{"404", 80, get("/none"), probe.BadStatus, "404 Not Found, HTTP/1.1", false},
		{"503", 80, get("/broken"), probe.BadStatus, "503 Service Unavailable", false},
		{"slow", 80, get("/slow"), probe.Timeout, "connected, but no answer within 300 ms", true},
		{"late", 80, get("/late"), probe.OK, "200 OK", false},
		{"endless body", 80, get("/endless"), probe.OK, "more than 1 MiB", false},
		{"stream", 80, get("/stream"), probe.OK, "200 OK, HTTP/1.1, 9 bytes and no end within 300 ms", true},
		{"big", 80, get("/big"), probe.OK, "700 KiB", false},
		{"HTTP/2 without TLS", 80, h2, probe.OK, "200 OK, HTTP/2.0", false},
		{"TLS", 443, tlsReq, probe.OK, "200 OK, HTTP/2.0", false},
		{"TLS by address", 443, noName, probe.OK, "200 OK, HTTP/2.0", false},
		{"TLS, HTTP/2 only", 443, tlsH2, probe.OK, "200 OK, HTTP/2.0", false},
		{"expired", 1001, tlsReq, probe.BadTLS, "certificate expired " + day(-7), false},
		{"expired, accepted", 1001, insecure, probe.OK, "(certificate expired " + day(-7) + ": accepted)", false},
		{"not yet", 1002, tlsReq, probe.BadTLS, "certificate not valid before " + day(7), false},
		{"wrong name", 1003, tlsReq, probe.BadTLS, "certificate is for shop, not for web", false},
		{"unknown authority", 1004, tlsReq, probe.BadTLS, "certificate of an unknown authority: CN=other CA", false},
		{"all of it", 1005, tlsReq, probe.BadTLS, "certificate expired " + day(-7) + "; certificate is for shop, not for web; certificate of an unknown authority: CN=other CA", false},
		{"self-signed", 1006, probe.Request{TLS: true, Host: "other CA", Roots: ca.pool}, "", "", false},
		{"self-signed ", 1006, tlsReq, probe.BadTLS, "signed by itself", false},
		{"soon", 1007, tlsReq, probe.OK, "200 OK", false},
		{"no authorities at all", 443, empty, probe.BadTLS, "unknown authority: CN=test CA", false},
		{"TLS on a plain port", 80, tlsReq, probe.BadTLS, "the port speaks plain HTTP, not TLS", false},
		{"TLS to something else", 2003, tlsReq, probe.BadTLS, `the port does not speak TLS: it begins with "SSH-2.0-OpenSSH_9.2"`, false},
		{"TLS to silence", 2005, tlsReq, probe.Timeout, "connected, but no TLS handshake within 300 ms", true},
		{"TLS closed", 2004, tlsReq, probe.BadTLS, "the TLS handshake fails: the server closes the connection", false},
		{"TLS reset", 2001, tlsReq, probe.BadTLS, "the TLS handshake fails: connection reset", false},
		{"TLS alert", 2009, tlsReq, probe.BadTLS, "the TLS handshake fails: the server says protocol version not supported", false},
		{"plain on a TLS port", 443, probe.Request{}, probe.BadAnswer, "the port wants TLS (it answers 400 Bad Request)", false},
		{"plain on a TLS port, nginx", 2011, probe.Request{}, probe.BadAnswer, "the port wants TLS", false},
		{"plain on a TLS port, an alert", 2009, probe.Request{}, probe.BadAnswer, "the port speaks TLS, not plain HTTP", false},
		{"reset", 2001, probe.Request{}, probe.Reset, "connected, but the connection is reset before an answer", false},
		{"reset in the middle", 2002, probe.Request{}, probe.Reset, "200 OK, but the connection is reset after 4 bytes of 1000 bytes", false},
		{"closed in the middle", 2008, probe.Request{}, probe.BadAnswer, "200 OK, but the connection ends after 4 bytes of 1000 bytes", false},
		{"stalled", 2007, probe.Request{}, probe.Timeout, "200 OK, but its body stalls after 4 bytes of 1000 bytes", true},
		{"not HTTP", 2003, probe.Request{}, probe.BadAnswer, `the port answers, but not HTTP: it begins with "SSH-2.0-OpenSSH_9.2"`, false},
		{"closed", 2004, probe.Request{}, probe.BadAnswer, "closed without an answer", false},
		{"endless header", 2006, probe.Request{}, probe.BadAnswer, "the answer's header does not end after 256 KiB", false},
		{"rubbish status", 2010, probe.Request{}, probe.BadAnswer, "no valid HTTP", false},
		{"HTTP/2 to HTTP/1", 2011, h2, probe.BadAnswer, "the port speaks HTTP/1, not HTTP/2", false},
		{"port closed", 2099, probe.Request{}, probe.Refused, "connection refused", false},
	} {
		t.Run(x.what, func(t *testing.T) {
			o := probe.Options{Count: 1, Timeout: 10 * time.Second}
			if x.short {
				o = quick()
			}
			r, err := probe.HTTP(t.Context(), from(a), addrOf("10.61.0.2", x.port), o, x.req)
			if x.class == "" {
				if err == nil {
					t.Error("an impossible name was asked for")
				}
				return
			}
			must(t, err)
			text := textOf(r)
			t.Log("\n" + text)
			fits(t, text)
			if r.Class != x.class || !strings.Contains(r.Summary, x.summary) {
				t.Errorf("%s: %q, want %s: %q", r.Class, r.Summary, x.class, x.summary)
			}
			if len(r.Attempts) != 1 || r.Attempts[0].Class != x.class {
				t.Errorf("attempts %+v", r.Attempts)
			}
			if times := r.HTTP.Times; r.OK && (times.Connect <= 0 || times.FirstByte <= 0 || times.Total < times.Connect+times.FirstByte+times.TLS || (times.TLS > 0) != x.req.TLS) {
				t.Errorf("times %+v", times)
			}
			if x.what == "late" && r.HTTP.Times.FirstByte < 50 {
				t.Errorf("first byte after %s", r.HTTP.Times.FirstByte)
			}
		})
	}

	// A name is resolved by FROM; the name is what the server is asked for.
	zone("web.example. 60 IN A 10.61.0.2").serve(t, b, "10.61.0.2:53")
	f := asking(t, a, "nameserver 10.61.0.2\nsearch example\n", "")
	r, err := probe.HTTP(t.Context(), f, named("web"), probe.Options{Count: 3, Interval: time.Millisecond}, tlsReq)
	must(t, err)
	if !r.OK || len(r.Attempts) != 3 || !strings.HasPrefix(r.Summary, "3/3 ok, 200 OK") || r.To.Addr != netip.MustParseAddr("10.61.0.2") || !r.HTTP.TLS.Verified || r.HTTP.URL != "https://web/" {
		t.Errorf("by name: %+v\n%s", r, textOf(r))
	}
	if r, err = probe.HTTP(t.Context(), f, named("none"), quick(), tlsReq); err != nil || r.Class != probe.NotFound {
		t.Errorf("no such name: %+v, %v", r, err)
	}
	to := addrOf("fd61::2")
	if r, err = probe.HTTP(t.Context(), f, to, probe.Options{}, probe.Request{}); err != nil || !r.OK || r.HTTP.URL != "http://[fd61::2]/" {
		t.Errorf("IPv6: %+v, %v", r, err)
	}
	// Ended early it says what it has.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r, err = probe.HTTP(ctx, f, addrOf("10.61.0.2"), probe.Options{}, get("/slow")); err != nil || r.OK || r.Summary != "interrupted before an answer came" {
		t.Errorf("interrupted: %+v, %v", r, err)
	}
}

// TestHTTPNoAuthorities runs itself on a system without CA certificates, as in an image FROM scratch.
func TestHTTPNoAuthorities(t *testing.T) {
	nettest.NeedsRoot(t)
	if os.Getenv("SSL_CERT_FILE") != "/dev/null" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHTTPNoAuthorities$", "-test.v")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: TestHTTPNoAuthorities") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	a, b := pair(t)
	ca := newAuthority(t, "test CA")
	webServer(t, b, "10.61.0.2:443", http.NotFoundHandler(), ca.issue(t, "web", -1, 90))
	webServer(t, b, "10.61.0.2:444", http.NotFoundHandler(), ca.issue(t, "web", -9, -2))
	r, err := probe.HTTP(t.Context(), from(a), addrOf("10.61.0.2", 443), probe.Options{}, probe.Request{TLS: true, Host: "web"})
	must(t, err)
	if r.Class != probe.BadStatus || r.HTTP.TLS.Verified || r.HTTP.TLS.Unverified != "no CA certificates here" || r.NotCertain == "" {
		t.Errorf("%+v\n%s", r.HTTP.TLS, textOf(r))
	}
	r, err = probe.HTTP(t.Context(), from(a), addrOf("10.61.0.2", 444), probe.Options{}, probe.Request{TLS: true, Host: "web"})
	must(t, err)
	if r.Class != probe.BadTLS || !strings.HasPrefix(r.Summary, "certificate expired") {
		t.Errorf("%s", textOf(r))
	}
}
