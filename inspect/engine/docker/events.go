package docker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

// followed are the types of events that may change what is read.
const followed = `{"type":["container","network","service","node","daemon"]}`

// Follow calls changed whenever the engine says that something of what is read of it changed, and when it stops saying so, until
// ctx ends. It returns when the engine listens; false where it does not speak.
func (d *daemon) Follow(ctx context.Context, v *host.View, changed func()) bool {
	if d.closed != nil || d.skip || d.activated(v) || d.apiOnly && d.proc == nil {
		return false // one that a connection would start, or keep from ending
	}
	dial, cancel := context.WithTimeout(ctx, v.Timeout)
	c, err := d.open(dial)
	cancel()
	if err != nil {
		return false
	}
	whole := ctx
	ctx, stop := context.WithCancel(ctx)
	late := time.AfterFunc(v.Timeout, stop) // for the answer to begin
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/events?filters="+url.QueryEscape(followed), nil)
	if err != nil {
		stop()
		c.done()
		return false
	}
	resp, err := c.http.Do(req)
	if !late.Stop() && err == nil {
		resp.Body.Close()
		err = context.DeadlineExceeded
	} else if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = errors.New(resp.Status)
	}
	if err != nil {
		stop()
		c.done()
		return false
	}
	go func() {
		defer stop()
		defer c.done()
		defer resp.Body.Close()
		for dec := json.NewDecoder(resp.Body); ; {
			var e struct{ Action string }
			if err := dec.Decode(&e); err != nil {
				break
			}
			if !strings.HasPrefix(e.Action, "exec_") && !strings.HasPrefix(e.Action, "health_status") && e.Action != "top" && e.Action != "resize" {
				changed()
			}
		}
		if whole.Err() == nil {
			changed()
		}
	}()
	return true
}
