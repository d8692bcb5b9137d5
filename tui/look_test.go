package tui

import (
	"image/color"
	"math"
	"regexp"
	"strconv"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// The sixteen colours as xterm, the Linux console and GNOME's terminal have them.
var palettes = map[string][16]uint32{
	"xterm":   {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff},
	"console": {0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa, 0x555555, 0xff5555, 0x55ff55, 0xffff55, 0x5555ff, 0xff55ff, 0x55ffff, 0xffffff},
	"tango":   {0x000000, 0xcc0000, 0x4e9a06, 0xc4a000, 0x3465a4, 0x75507b, 0x06989a, 0xd3d7cf, 0x555753, 0xef2929, 0x8ae234, 0xfce94f, 0x729fcf, 0xad7fa8, 0x34e2e2, 0xeeeeec},
}

// luminance and contrast are those of WCAG 2.1.
func luminance(rgb uint32) float64 {
	l := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb>>(16-8*i)&0xff) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func contrast(a, b uint32) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

var foreground = regexp.MustCompile(`[\[;](3|9)([0-7])[;m]`)

// TestColoursCanBeRead: whatever ground a terminal has, and whichever of the common palettes, every colour stands out from it; without colours
// there is none.
func TestColoursCanBeRead(t *testing.T) {
	for _, dark := range []bool{true, false} {
		ground := map[bool]uint32{true: 0x000000, false: 0xffffff}[dark]
		l, n := newLook(false, true, dark), 0
		for st := plain; st < lastStyle; st++ {
			m := foreground.FindStringSubmatch(l.seq[st])
			if m == nil {
				continue
			}
			n++
			i, _ := strconv.Atoi(m[2])
			if m[1] == "9" {
				i += 8
			}
			for name, p := range palettes {
				if c := contrast(p[i], ground); c < 3.9 {
					t.Errorf("style %d, colour %d of %s: contrast %.1f on a dark ground: %v", st, i, name, c, dark)
				}
			}
			if s := newLook(false, false, dark).seq[st]; foreground.MatchString(s) {
				t.Errorf("style %d without colours is %q", st, s)
			}
		}
		if n < 7 {
			t.Errorf("only %d styles have a colour", n)
		}
	}
}

// TestGround: what the environment says counts until the terminal answers.
func TestGround(t *testing.T) {
	for text, want := range map[string]bool{"": false, "15;0": false, "0;15": true, "0;default;15": true, "12;8": false, "0;7": true, "7;0": false, "x": false, ";": false, "0;255": false} {
		if got := LightGround(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	d := newDriver(t, 80, 24, Config{Light: true}, example(t, "node1")...)
	light, dark := newLook(false, true, false).seq, newLook(false, true, true).seq
	if light == dark {
		t.Fatal("no difference")
	}
	if d.m.env.look.seq != light {
		t.Error("the light ground is not known at the start")
	}
	d.send(tea.BackgroundColorMsg{Color: color.Black})
	if d.m.env.look.seq != dark {
		t.Error("the dark ground that the terminal tells of is not taken")
	}
	d.send(tea.BackgroundColorMsg{Color: color.White})
	if d.m.env.look.seq != light {
		t.Error("the light ground that the terminal tells of is not taken")
	}
}
