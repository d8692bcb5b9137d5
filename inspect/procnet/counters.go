package procnet

import (
	"bytes"
	"strconv"
	"sync"
)

// keyCache keeps the keys that a line of names stands for: it is the same in every namespace of a kernel.
type keyCache struct {
	mu sync.RWMutex
	m  map[string][]string
}

// maxCached bounds the cache against a /proc that is not one.
const maxCached = 64

// keys splits a line of names, "TcpExt: SyncookiesSent …", into keys, "TcpExt.SyncookiesSent".
func (c *keyCache) keys(line []byte) []string {
	c.mu.RLock()
	k, ok := c.m[string(line)]
	c.mu.RUnlock()
	if ok {
		return k
	}
	head, rest, _ := bytes.Cut(line, []byte(": "))
	for f := range bytes.FieldsSeq(rest) {
		k = append(k, string(head)+"."+string(f))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxCached {
		c.m = map[string][]string{}
	}
	c.m[string(line)] = k
	return k
}

var pairKeys keyCache

// configured are lines of /proc/net/snmp that are settings and not counters.
var configured = map[string]bool{
	"Ip.Forwarding": true, "Ip.DefaultTTL": true, "Tcp.RtoAlgorithm": true, "Tcp.RtoMin": true, "Tcp.RtoMax": true, "Tcp.MaxConn": true,
}

// parsePairs reads /proc/net/snmp or netstat: a line of names, then a line of values, each begun by the group's name.
func parsePairs(b []byte, into map[string]uint64) {
	for {
		var names, values []byte
		names, b, _ = bytes.Cut(b, nl)
		values, b, _ = bytes.Cut(b, nl)
		if len(values) == 0 {
			return
		}
		head, _, ok := bytes.Cut(names, colon)
		vhead, rest, _ := bytes.Cut(values, colon)
		if !ok || !bytes.Equal(head, vhead) {
			return
		}
		keys := pairKeys.keys(names)
		for i := 0; len(rest) > 0 && i < len(keys); i++ {
			var f []byte
			f, rest, _ = bytes.Cut(bytes.TrimLeft(rest, " "), space)
			// Most are zero, and zeros are left out.
			if v, ok := decimal(f); ok && v != 0 && !configured[keys[i]] {
				into[keys[i]] = v
			}
		}
	}
}

var nl, colon, space = []byte("\n"), []byte(":"), []byte(" ")

// decimal reads an unsigned number; a negative one is none.
func decimal(b []byte) (v uint64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}

// groups6 are the names that lines of /proc/net/snmp6 and xfrm_stat begin with, the longer one first.
var groups6 = []string{"UdpLite6", "Udp6", "Icmp6", "Ip6", "Xfrm"}

var names6 struct {
	sync.RWMutex
	m map[string]string
}

// key6 makes "Ip6.InDiscards" of "Ip6InDiscards".
func key6(name []byte) string {
	names6.RLock()
	k, ok := names6.m[string(name)]
	names6.RUnlock()
	if ok {
		return k
	}
	for _, g := range groups6 {
		if rest, ok := bytes.CutPrefix(name, []byte(g)); ok {
			k = g + "." + string(rest)
			break
		}
	}
	names6.Lock()
	defer names6.Unlock()
	if names6.m == nil || len(names6.m) > 4096 {
		names6.m = map[string]string{}
	}
	names6.m[string(name)] = k
	return k
}

// parse6 reads /proc/net/snmp6 or xfrm_stat: a name and a value per line.
func parse6(b []byte, into map[string]uint64) {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, nl)
		if bytes.HasSuffix(line, zero6) {
			continue // nearly all of them
		}
		name, value := splitLast(line)
		if v, ok := decimal(value); ok && v != 0 {
			if k := key6(name); k != "" {
				into[k] = v
			}
		}
	}
}

var zero6 = []byte("\t0")

// splitLast splits a line into its first and last word.
func splitLast(line []byte) (first, last []byte) {
	end := len(line)
	for end > 0 && line[end-1] <= ' ' {
		end--
	}
	start := end
	for start > 0 && line[start-1] > ' ' {
		start--
	}
	i := 0
	for i < start && line[i] > ' ' {
		i++
	}
	return line[:i], line[start:end]
}

// parseStat reads a file of /proc/net/stat: a line of names, then a line of hexadecimal values per CPU, which are added
// up. "entries" is the same number in each line and is taken once.
func parseStat(prefix string, b []byte, into map[string]uint64) {
	head, b, _ := bytes.Cut(b, nl)
	var names []string
	for f := range bytes.FieldsSeq(head) {
		names = append(names, prefix+"."+string(f))
	}
	sums := make([]uint64, len(names))
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, nl)
		i := 0
		for f := range bytes.FieldsSeq(line) {
			if i == len(sums) {
				break
			}
			if v, err := strconv.ParseUint(string(f), 16, 64); err == nil {
				if names[i] == prefix+".entries" {
					sums[i] = v
				} else {
					sums[i] += v
				}
			}
			i++
		}
	}
	for i, v := range sums {
		if v != 0 {
			into[names[i]] = v
		}
	}
}

// softnetNames are the columns of /proc/net/softnet_stat that have a meaning in every kernel (net/core/net-procfs.c).
var softnetNames = map[int]string{
	0: "softnet.processed", 1: "softnet.dropped", 2: "softnet.time_squeeze", 9: "softnet.received_rps", 10: "softnet.flow_limit",
}

// parseSoftnet reads /proc/net/softnet_stat: a line of hexadecimal values per CPU, without names.
func parseSoftnet(b []byte, into map[string]uint64) {
	for line := range bytes.Lines(b) {
		i := 0
		for f := range bytes.FieldsSeq(line) {
			if name := softnetNames[i]; name != "" {
				if v, err := strconv.ParseUint(string(f), 16, 32); err == nil && v != 0 {
					into[name] += v
				}
			}
			i++
		}
	}
}
