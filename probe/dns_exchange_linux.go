package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// dnsAsker asks name servers from one place.
type dnsAsker struct {
	kind    string
	from    *From
	at      string // its name, where that is not the FROM of the probe
	o       Options
	conf    *ResolvConf // nil where a server was given
	timeout time.Duration
	tcpOnly bool
	round   int
	// record takes each step as it is known.
	record func(DNSStep, netip.Addr)
}

// dnsReply is what came of one query.
type dnsReply struct {
	dnsContent
	name   string
	typ    uint16
	server netip.AddrPort
	msg    *dns.Msg // nil where nothing came that answers
	rcode  string
	by     netip.Addr
}

// final tells a reply that a resolver is content with: it has what was asked for or says that there is none.
func (r *dnsReply) final() bool { return r.msg != nil && !nextServer(r.msg) && r.class != BadAnswer }

// exchange asks one server for one name and several types at once, and by TCP for what was truncated. The replies are in
// the order of the types; those that the context's end cut off are missing. The error is for what kept it from asking.
func (a *dnsAsker) exchange(ctx context.Context, via string, server netip.AddrPort, name string, types []uint16) ([]*dnsReply, error) {
	var queries []*dns.Msg
	for _, t := range types {
		q := newQuery(name, t, a.conf)
		if _, err := q.Pack(); err != nil {
			return nil, optionf("%q is no name for the DNS: %w", name, err)
		}
		queries = append(queries, q)
	}
	for range queries {
		if a.o.pace().Wait(ctx) != nil {
			return nil, nil
		}
	}
	var replies []*dnsReply
	if !a.tcpOnly {
		var err error
		// glibc sends the queries of one name from one socket; single-request is for what cannot cope with that.
		if a.conf != nil && (a.conf.has("single-request") || a.conf.has("single-request-reopen")) {
			for _, q := range queries {
				var one []*dnsReply
				if one, err = a.udp(ctx, via, server, []*dns.Msg{q}); err != nil {
					break
				}
				replies = append(replies, one...)
			}
		} else {
			replies, err = a.udp(ctx, via, server, queries)
		}
		if err != nil {
			return replies, err
		}
	}
	for i, q := range queries {
		switch {
		case a.tcpOnly:
			r, err := a.tcp(ctx, via, server, q)
			if err != nil {
				return replies, err
			}
			if r != nil {
				replies = append(replies, r)
			}
		case i < len(replies) && replies[i].msg != nil && replies[i].msg.Truncated:
			r, err := a.tcp(ctx, via, server, q)
			if err != nil {
				return replies, err
			}
			if r == nil {
				return nil, nil
			}
			if r.msg == nil {
				r.reason = "the answer is truncated, and by TCP " + r.reason
			}
			replies[i] = r
		}
	}
	return replies, nil
}

// step reports a query.
func (a *dnsAsker) step(via, proto string, r *dnsReply, took time.Duration, ignored []string) {
	s := DNSStep{
		Round: a.round, Via: via, Server: r.server, From: a.at, Proto: proto, Query: r.name, Type: typeName(r.typ), MS: Millis(took),
		Class: r.class, Reason: r.reason, Ignored: ignored, Answers: r.records, Flags: []string{},
	}
	if s.Answers == nil {
		s.Answers = []DNSRecord{}
	}
	if r.msg != nil {
		r.rcode = rcodeName(r.msg.Rcode)
		s.Rcode, s.Flags, s.Truncated = r.rcode, flagsOf(r.msg), r.msg.Truncated && proto == "udp"
		r.by = r.server.Addr()
		if s.Truncated {
			s.Class, s.Reason = OK, "truncated, asked again by TCP"
		}
	}
	if a.record != nil {
		a.record(s, r.by)
	}
}

// udp sends the queries from one socket and waits for all answers. Like a resolver it ignores packets that are no answer.
func (a *dnsAsker) udp(ctx context.Context, via string, server netip.AddrPort, queries []*dns.Msg) ([]*dnsReply, error) {
	replies := make([]*dnsReply, len(queries))
	ignored := make([][]string, len(queries))
	wrong := make([]string, len(queries)) // the lie or the garbage that came with a query's id
	start := time.Now()
	for i, q := range queries {
		replies[i] = &dnsReply{name: q.Question[0].Name, typ: q.Question[0].Qtype, server: server}
	}
	open := len(queries)
	done := func(i int, class Class, reason string) {
		r := replies[i]
		if r.class != "" {
			return
		}
		r.class, r.reason = class, reason
		open--
		a.step(via, "udp", r, time.Since(start), ignored[i])
	}
	all := func(class Class, reason string, by netip.Addr) {
		for i, r := range replies {
			if r.class == "" {
				r.by = by
			}
			done(i, class, reason)
		}
	}
	s, err := a.from.open(domain(server.Addr()), unix.SOCK_DGRAM, 0, a.o.setup(server.Addr()))
	if err != nil {
		return nil, a.needs(err)
	}
	defer s.Close()
	if err := s.connect(ctx, server); err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		class, reason := classifyErr(err)
		all(class, reason, netip.Addr{})
		return replies, nil
	}
	defer s.interruptible(ctx)()
	for i, q := range queries {
		b, err := q.Pack()
		if err == nil {
			err = s.sendTo(b, netip.AddrPort{})
		}
		if err != nil {
			class, reason := classifyErr(err)
			done(i, class, reason)
		}
	}
	buf := make([]byte, 65535)
	deadline := time.Now().Add(a.timeout)
	for open > 0 && ctx.Err() == nil {
		ev, err := s.next(buf, deadline)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			for i := range replies {
				if wrong[i] != "" {
					done(i, BadAnswer, wrong[i])
				} else {
					done(i, Timeout, "no answer within "+waited(a.timeout))
				}
			}
		case err != nil:
			class, reason := classifyErr(err)
			all(class, reason, netip.Addr{})
		case ev.icmp != nil:
			class, reason := ev.icmp.classify()
			all(class, reason, ev.icmp.by)
		default:
			hit := -1
			var why string
			for i, q := range queries {
				m, v, reason := checkAnswer(q, ev.data)
				if v == notOurs {
					why = reason
					continue
				}
				hit = i
				switch v {
				case answered:
					if replies[i].class == "" {
						replies[i].msg, replies[i].dnsContent = m, readAnswer(m, q.Question[0].Name, q.Question[0].Qtype)
						class, reason := replies[i].class, replies[i].reason
						replies[i].class = ""
						done(i, class, reason)
					}
				default:
					wrong[i] = reason
					ignored[i] = dnsNote(ignored[i], reason)
				}
				break
			}
			if hit < 0 {
				for i, r := range replies {
					if r.class == "" {
						ignored[i] = dnsNote(ignored[i], why)
					}
				}
			}
		}
	}
	if ctx.Err() != nil {
		replies = slices.DeleteFunc(replies, func(r *dnsReply) bool { return r.class == "" })
		if len(replies) < len(queries) {
			replies = nil // the order would be lost
		}
	}
	return replies, nil
}

// dnsNote adds to a short list of what was ignored.
func dnsNote(list []string, s string) []string {
	if len(list) >= 8 || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// tcp asks by TCP; nil where the context ended.
func (a *dnsAsker) tcp(ctx context.Context, via string, server netip.AddrPort, q *dns.Msg) (*dnsReply, error) {
	r := &dnsReply{name: q.Question[0].Name, typ: q.Question[0].Qtype, server: server}
	start := time.Now()
	sub, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	m, ignored, err := a.overTCP(sub, server, q)
	var bad badAnswerError
	switch {
	case err == nil:
		r.msg, r.dnsContent = m, readAnswer(m, r.name, r.typ)
	case ctx.Err() != nil:
		return nil, nil
	case errors.As(err, &bad):
		r.class, r.reason = BadAnswer, string(bad)
	case errors.Is(err, os.ErrDeadlineExceeded), sub.Err() != nil:
		r.class, r.reason = Timeout, "no answer within "+waited(a.timeout)
	default:
		var dial *DialError
		var fault *setupError
		switch {
		case errors.As(err, &fault):
			return nil, a.needs(fault.err)
		case errors.As(err, &dial):
			r.class, r.reason = dial.Class, dial.Reason
		default:
			r.class, r.reason = classifyErr(err)
		}
	}
	a.step(via, "tcp", r, time.Since(start), ignored)
	return r, nil
}

// setupError is about the socket, not about the network.
type setupError struct{ err error }

func (e *setupError) Error() string { return e.err.Error() }

// badAnswerError is what came instead of an answer.
type badAnswerError string

func (e badAnswerError) Error() string { return string(e) }

func (a *dnsAsker) overTCP(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, []string, error) {
	c, err := a.from.Dial(ctx, "tcp", server, a.o)
	var dial *DialError
	if err != nil && !errors.As(err, &dial) {
		err = &setupError{err}
	}
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	b, err := q.Pack()
	if err != nil {
		return nil, nil, badAnswerError(err.Error())
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return nil, nil, err
	}
	var ignored []string
	var length [2]byte
	for {
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return nil, ignored, eof(err, "closes the connection without an answer")
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, ignored, eof(err, "closes the connection in the middle of an answer")
		}
		m, v, reason := checkAnswer(q, b)
		switch v {
		case answered:
			return m, ignored, nil
		case notOurs: // a stream has one answer to one query: what else comes is not worth waiting for long
			ignored = dnsNote(ignored, reason)
		default:
			return nil, append(ignored, reason), badAnswerError(reason)
		}
	}
}

func eof(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badAnswerError(what)
	}
	return err
}

// needs explains an error of opening a socket.
func (a *dnsAsker) needs(err error) error { return needsNetNS(a.kind, a.from, err) }

// waited prints a timeout: "2 s", "300 ms".
func waited(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
}
