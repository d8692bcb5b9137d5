package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// captureFile reads a file.
func (a *app) captureFile(ctx context.Context, f *captureFlags, expr string) error {
	in := a.in
	if f.read != "-" {
		fd, err := os.Open(f.read)
		if err != nil {
			return err
		}
		defer fd.Close()
		in = fd
	}
	r, err := pcap.Open(in)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", f.read, err)
	}
	defer r.Close()
	var g *topo.Graph
	if len(a.from) > 0 {
		snaps, err := a.snapshots(ctx)
		if err != nil {
			return err
		}
		g = topo.Build(snaps...)
	}
	flt, err := parseFilter(expr, g)
	if err != nil {
		return err
	}
	// The file's own names stand before its packets.
	var rec pcap.Record
	next := r.Next(&rec)
	var known []pcap.Name
	if !f.noNames {
		known = fileNames(g, r)
	}
	out, err := a.captureSink(f, known)
	if err != nil {
		return err
	}
	take := out.take
	flows := a.flowSink(out)
	if flows != nil {
		take = flows.take
	}
	places := capture.NewFilePlaces(r, g, f.noNames)
	d := packet.Decoder{Checksums: true}
	if g != nil {
		d.VXLANPorts = capture.VXLANPorts(g)
	}
	var p packet.Packet
	e := text.Event{Packet: &p}
	for n := 0; n&0xff != 0 || ctx.Err() == nil; n++ { // the question takes a lock
		if n > 0 {
			next = r.Next(&rec)
		}
		if err = next; err != nil {
			break
		}
		d.Decode(&p, rec.Data, rec.Len, r.Interfaces[rec.Interface].Link)
		e.Nanos, e.Dir, e.Drop = rec.Nanos, text.Dir(rec.Dir), rec.Drop
		e.Place = places.Of(rec.Interface)
		if flt != nil && !flt.Match(&p, filter.Meta{Dir: filter.Dir(rec.Dir), Workload: places.Workload(rec.Interface)}) {
			continue
		}
		if err = take(&e); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if flows != nil {
		if e := flows.end(); e != nil {
			return e
		}
	}
	if e := out.end(nil, 0, nil); e != nil {
		return e
	}
	switch {
	case err == nil, errors.Is(err, errEnough):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s is cut off: what was whole was read", f.read)
	}
	return fmt.Errorf("cannot read %s: %w", f.read, err)
}

// fileNames are names for addresses to be written: the topology's, and those that a file has of others.
func fileNames(g *topo.Graph, r *pcap.Reader) (out []pcap.Name) {
	known := map[netip.Addr]bool{}
	if g != nil {
		out = capture.Addresses(g)
		for _, n := range out {
			known[n.Addr] = true
		}
	}
	for _, n := range slices.Backward(r.Names) { // of two, the later one is read
		if !known[n.Addr] {
			known[n.Addr] = true
			out = append(out, n)
		}
	}
	return out
}
