package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/nscope/nscope/topo"
)

// JSON writes the graph as one JSON object with one host, node, edge and gap per line: stable, quick to compare with
// diff, and lists are never null.
func JSON(w io.Writer, g *topo.Graph) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "{\n\"schema\": %d,\n", g.Schema)
	if err := jsonList(b, "hosts", g.Hosts, ",\n"); err != nil {
		return err
	}
	if err := jsonList(b, "nodes", g.Nodes, ",\n"); err != nil {
		return err
	}
	if err := jsonList(b, "edges", g.Edges, ",\n"); err != nil {
		return err
	}
	if err := jsonList(b, "gaps", g.Gaps, "\n}\n"); err != nil {
		return err
	}
	return b.Flush()
}

func jsonList[T any](b *bufio.Writer, name string, list []T, end string) error {
	fmt.Fprintf(b, "%q: [", name)
	for i := range list {
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(&list[i]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n")
		b.Write(bytes.TrimRight(line.Bytes(), "\n"))
	}
	if len(list) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("]" + end)
	return nil
}
