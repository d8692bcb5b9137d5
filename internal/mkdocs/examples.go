package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/nscope/nscope/cmd"
)

const (
	exampleDir = "docs/examples"
	manDir     = "docs/man"
)

// pictures are the files that a command on docs/examples writes.
var pictures = map[string][]string{
	"docs/img/overlay.svg": {"--from", "node1.json.zst", "--from", "node2.json.zst", "topo", "-o", "svg", "net:backend"},
}

// example is a block of commands with their output:
//
//	<!-- run: node1 node2 -->
//	```console
//	$ nscope topo net:backend | head -3
//	```
//
// The words after "run:" are snapshots in docs/examples that take the place of the live host; "stderr" among them shows
// standard error too, before the output.
var example = regexp.MustCompile("(?s)<!-- run:([^>]*) -->\n```console\n(.*?)```\n")

// runExamples fills in the output of every command in such blocks.
func runExamples(root, text string) (string, error) {
	var failed error
	out := example.ReplaceAllStringFunc(text, func(block string) string {
		m := example.FindStringSubmatch(block)
		var b strings.Builder
		fmt.Fprintf(&b, "<!-- run:%s -->\n```console\n", m[1])
		for line := range strings.Lines(m[2]) {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			got, err := runLine(root, strings.Fields(m[1]), strings.TrimSpace(command))
			failed = errors.Join(failed, err)
			b.WriteString(line + got)
		}
		b.WriteString("```\n")
		return b.String()
	})
	return out, failed
}

// runLine runs "nscope ARG… [| head -N]" on snapshots.
func runLine(root string, words []string, line string) (string, error) {
	command, filter, _ := strings.Cut(line, " | ")
	args, err := split(command)
	if err != nil || len(args) == 0 || args[0] != "nscope" {
		return "", fmt.Errorf("%q is no command of nscope (%v)", line, err)
	}
	var from []string
	stderr := false
	for _, w := range words {
		if w == "stderr" {
			stderr = true
			continue
		}
		from = append(from, "--from", w+".json.zst")
	}
	out, errText, err := nscope(root, append(from, args[1:]...))
	if err != nil {
		return "", err
	}
	if stderr {
		out = errText + out
	}
	if out == "" {
		return "", fmt.Errorf("%q prints nothing: %s", line, errText)
	}
	if filter == "" {
		return out, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(filter, "head -"))
	if err != nil {
		return "", fmt.Errorf("%q: only head -N is known here", line)
	}
	lines := strings.SplitAfter(out, "\n")
	return strings.Join(lines[:min(n, len(lines))], ""), nil
}

// nscope runs the program in docs/examples, 80 columns wide. Its exit code is no error.
func nscope(root string, args []string) (out, errText string, err error) {
	old, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	if err := os.Chdir(filepath.Join(root, exampleDir)); err != nil {
		return "", "", err
	}
	defer os.Chdir(old)
	os.Setenv("COLUMNS", "80")
	var o, e bytes.Buffer
	cmd.Main(append([]string{"nscope"}, args...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), nil
}

// split takes a command line apart as a shell does, quotes included, substitutions not.
func split(s string) (args []string, err error) {
	var word strings.Builder
	in, quote := false, rune(0)
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				args = append(args, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("no closing %c", quote)
	}
	if in {
		args = append(args, word.String())
	}
	return args, nil
}

// manual adds the manual pages.
func manual(files map[string][]byte) error {
	pages, err := cmd.ManPages()
	for name, text := range pages {
		files[manDir+"/"+name] = text
	}
	return err
}
