package tui

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/faults"
)

// fakeLabs are labs that exist in words only.
type fakeLabs struct {
	list  []*fixtures.State
	may   error
	asks  int // how often that was asked
	where string
	// wait holds up what is asked for until it is closed or cancelled; nil: nothing is held up.
	wait chan struct{}
}

func (f *fakeLabs) May() error               { f.asks++; return f.may }
func (f *fakeLabs) Where() string            { return f.where }
func (f *fakeLabs) Own(*fixtures.State) bool { return f.where == "" }
func (f *fakeLabs) List(context.Context) ([]*fixtures.State, error) {
	return append([]*fixtures.State{}, f.list...), nil
}

func (f *fakeLabs) hold(ctx context.Context) error {
	if f.wait != nil {
		select {
		case <-f.wait:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (f *fakeLabs) Up(ctx context.Context, m fixtures.Mode, lab string) (*fixtures.State, error) {
	fixtures.Doing(ctx, "host: ip link add docker0 type bridge")
	if err := f.hold(ctx); err != nil {
		return nil, err
	}
	if f.may != nil {
		return nil, f.may
	}
	// Made by an engine, as far as Condition sees: no process of its own is looked for.
	s := &fixtures.State{Name: lab, Mode: m.Info().Name, Engine: "none", Ready: true}
	for _, part := range []struct{ name, role string }{{"host", fixtures.RoleHost}, {"c1", fixtures.RoleContainer}} {
		var x fixtures.SpaceState
		x.Name, x.Full, x.Role = part.name, "nscope-"+lab+"-"+part.name, part.role
		s.Spaces = append(s.Spaces, x)
	}
	f.list = append(f.list, s)
	return s, nil
}

var someChecks = []fixtures.CheckResult{
	{Name: "c1 pings 172.17.0.3 (c2)", Status: fixtures.Pass, Detail: "ok: 2 of 2 answered"},
	{Name: "c1 pings 10.99.0.254 (out)", Status: fixtures.Fail, Detail: "FAILED: no answer in 2 s"},
}

func (f *fakeLabs) Prove(ctx context.Context, s *fixtures.State) ([]fixtures.CheckResult, error) {
	return someChecks, f.hold(ctx)
}

func (f *fakeLabs) Test(ctx context.Context, m fixtures.Mode, lab string) fixtures.Report {
	if lab == "test-vip" {
		return fixtures.Report{Mode: "vip", Status: fixtures.Skip, Needs: []string{"ip_vs"}}
	}
	return fixtures.Report{Mode: m.Info().Name, Status: fixtures.Pass, Checks: someChecks[:1]}
}

func (f *fakeLabs) Break(ctx context.Context, lab, fault string) (*fixtures.FaultReport, error) {
	if err := f.hold(ctx); err != nil {
		return nil, err
	}
	f.list[0].Faults = []string{fault}
	return &fixtures.FaultReport{Lab: lab, Fault: fault, Status: fixtures.Pass, Steps: []string{"ip netns exec nscope-" + lab + "-host ip link set docker0 down"}, Failed: someChecks[1:], Passed: someChecks[:1]}, nil
}

func (f *fakeLabs) Repair(ctx context.Context, lab string) (*fixtures.FaultReport, error) {
	f.list[0].Faults = nil
	return &fixtures.FaultReport{Lab: lab, Status: fixtures.Pass, Passed: someChecks[:1]}, nil
}

func (f *fakeLabs) Down(context.Context, *fixtures.State) error {
	f.list = nil
	return nil
}

// labView is a driver with the Lab view open.
func labView(t *testing.T, f *fakeLabs, cfg Config) *driver {
	t.Helper()
	if f != nil {
		cfg.Labs = f
	}
	d := newDriver(t, 120, 40, cfg)
	d.live(recorded(t, "docker-modes")...)
	d.press(":lab<enter>")
	return d
}

// to puts the cursor on a mode.
func to(d *driver, mode string) {
	d.t.Helper()
	l := d.m.views[viewIndex("lab")].(*labs)
	l.cursor = slices.IndexFunc(l.rows, func(r labRow) bool { return r.info.Name == mode })
	if l.cursor < 0 {
		d.t.Fatalf("no mode %s", mode)
	}
}

func TestLabLife(t *testing.T) {
	f := &fakeLabs{}
	d := labView(t, f, Config{})
	d.wants("0 labs are up")
	to(d, "bridge")
	d.press("b")
	d.wants("it is not up: enter makes it")
	d.press("t")
	d.wants("mode bridge: 1 of 1 checks pass", "pass c1 pings 172.17.0.3 (c2)")
	d.press("u")
	d.wants("1 lab is up", "lab bridge (bridge) is up", "nscope-bridge-c1")
	d.press("t")
	d.wants("lab bridge: 1 of 2 checks pass", "FAIL c1 pings 10.99.0.254 (out)")
	d.press("b")
	d.wants("BREAK bridge WITH")
	d.press("<esc>")
	d.lacks("BREAK bridge")
	d.press("bj<enter>")
	l := d.m.views[viewIndex("lab")].(*labs)
	var carried []string
	for _, x := range faults.All() {
		if _, ok := x.For("bridge"); ok {
			carried = append(carried, x.ID)
		}
	}
	if got := f.list[0].Faults; len(got) != 1 || got[0] != carried[1] {
		t.Errorf("broken with %v, want %s", got, carried[1])
	}
	d.wants("broken: "+carried[1], "lab bridge is broken: ", "why: ", "fail c1 pings 10.99.0.254 (out)", "# ip netns exec")
	d.press("b")
	d.wants("it is broken already")
	d.press("r")
	d.wants("lab bridge is repaired")
	d.lacks("broken: ")
	d.press("d")
	d.wants("lab bridge is gone", "0 labs are up")
	to(d, "vip")
	d.press("t")
	d.wants("mode vip cannot be made here: it needs ip_vs")
	d.press("<tab>")
	if !l.reading {
		t.Error("tab does not lead to what came of it")
	}
	d.press("<tab>")
	if d.m.places.at().view == "lab" {
		t.Error("tab does not lead on")
	}
}

// TestLabCancel: one thing is done at a time, what is done shows how long it takes, and esc cancels it.
func TestLabCancel(t *testing.T) {
	f := &fakeLabs{wait: make(chan struct{})}
	d := labView(t, f, Config{})
	to(d, "bridge")
	d.press("u")
	d.m.env.now = func() time.Time { return noon.Add(3 * time.Second) }
	d.wants("making lab bridge 3 s, esc cancels", "host: ip link add docker0 type bridge")
	d.press("t")
	d.wants("busy: making lab bridge")
	d.press("<esc>")
	for d.m.views[viewIndex("lab")].(*labs).doing != "" {
		select {
		case m := <-d.late:
			d.send(m)
		case <-time.After(10 * time.Second):
			t.Fatalf("it is not cancelled:\n%s", d.frame())
		}
	}
	d.wants("cancelled: making lab bridge")
}

// TestLabsOfAnEngine: an engine makes labs, lists them and takes them away; they are not broken.
func TestLabsOfAnEngine(t *testing.T) {
	f := &fakeLabs{where: "unix:///run/docker.sock"}
	d := labView(t, f, Config{})
	d.wants("the engine at unix:///run/docker.sock makes them")
	to(d, "bridge")
	d.press("u")
	d.wants("1 lab is up", "up, by an engine")
	d.press("t")
	d.wants("an engine's lab is tested when it is made")
	d.press("b")
	d.wants("an engine made it")
	d.press("d")
	d.wants("lab bridge is gone", "0 labs are up")
	d.press("t")
	d.wants("mode bridge: 1 of 1 checks pass")
}

// TestLabAsksOnce: whether labs may be made is not asked before the view is opened, and then once: asking makes a namespace.
func TestLabAsksOnce(t *testing.T) {
	f := &fakeLabs{}
	d := newDriver(t, 80, 24, Config{Labs: f})
	d.live(recorded(t, "docker-modes")...)
	if f.asks != 0 {
		t.Error("it is asked before anybody wants to know")
	}
	d.press("8")
	for range 3 {
		d.frame()
		d.live(recorded(t, "docker-modes")...)
	}
	d.press("18")
	if f.asks != 1 {
		t.Errorf("it is asked %d times", f.asks)
	}
}

func TestLabNeeds(t *testing.T) {
	d := labView(t, &fakeLabs{may: errors.New("a new lab: needs CAP_SYS_ADMIN (has it not): run as root")}, Config{})
	d.wants("needs CAP_SYS_ADMIN")
	d.press("u")
	d.wants("was not made: a new lab: needs CAP_SYS_ADMIN")
	d = labView(t, nil, Config{})
	d.wants("labs are made on the live host")
	d.press("u")
	d.wants("these are saved snapshots")
	// The filter is the same as everywhere.
	d.press("/flannel<enter>")
	d.wants("flannel-vxlan")
	d.lacks("macvlan")
}

func TestLabPictures(t *testing.T) {
	for name, cfg := range map[string]Config{"lab": {}, "lab-ascii": {ASCII: true, NoColor: true}} {
		f := &fakeLabs{}
		d := labView(t, f, cfg)
		d.golden(t, name)
		to(d, "bridge")
		d.press("ub")
		d.golden(t, name+"-faults")
		d.press("<enter>")
		d.golden(t, name+"-broken")
	}
}
