package topo

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// num is a number as text, and nothing for zero.
func num[T ~int | ~int32 | ~uint8 | ~uint16 | ~uint32 | ~uint64](v T) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprint(v)
}

// flatten adds what a struct of the model holds, by the names of its JSON form: "vxlan port". What is zero is left out.
func flatten(out []attr, prefix string, v any) []attr {
	if v == nil || reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil() {
		return out
	}
	var m map[string]any
	if json.Unmarshal([]byte(asJSON(v)), &m) != nil {
		return out
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		text := jsonText(m[k])
		if text == "" {
			continue
		}
		name := strings.TrimSpace(prefix + " " + strings.ReplaceAll(k, "_", " "))
		out = append(out, attr{name: name, text: text})
	}
	return out
}

// jsonText is a value as people read it; what is false, zero or empty is nothing.
func jsonText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if !v {
			return ""
		}
		return "yes"
	case float64:
		if v == 0 {
			return ""
		}
		return strings.TrimSuffix(fmt.Sprintf("%v", v), ".0")
	case string:
		return v
	case []any:
		var words []string
		for _, e := range v {
			words = append(words, jsonText(e))
		}
		return strings.Join(words, " ")
	case map[string]any:
		var words []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if t := jsonText(v[k]); t != "" {
				words = append(words, strings.ReplaceAll(k, "_", " ")+" "+t)
			}
		}
		return "(" + strings.Join(words, " ") + ")"
	}
	return fmt.Sprint(v)
}
