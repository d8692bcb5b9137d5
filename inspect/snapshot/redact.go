package snapshot

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Redact replaces addresses, MACs and names, the same one always by the same one, so that the topology stays what it is
// and a stranger learns nothing of the host:
//   - addresses keep their prefix relations (what was in one subnet still is) and their kind (private, loopback,
//     link-local, multicast, default);
//   - MACs keep their multicast and local bits;
//   - names of hosts, containers, networks, services, images, the values of labels and what is in paths become
//     name-<hex>; names of links, which wiring is told by, and ids, which are random, stay.
//
// Snapshots redacted with the same key stay comparable; an empty key is a random one, so that nothing can be tried out.
func (s *Snapshot) Redact(key string) {
	k := []byte(key)
	if key == "" {
		k = make([]byte, 32)
		rand.Read(k) // never fails (crypto/rand)
	}
	r := &redactor{key: k, names: map[string]string{}, addrs: map[netip.Addr]netip.Addr{}}
	// Names first, all of them, so that they are found again inside paths and errors.
	r.walk(reflect.ValueOf(s).Elem(), "", r.learn)
	r.sortNames()
	r.walk(reflect.ValueOf(s).Elem(), "", r.replace)
	s.Redacted = true
	s.Normalize()
}

// How a string field is replaced is said by its tag redact:"…":
//
//	name  replaced whole wherever it occurs
//	mac   replaced as a MAC
//	text  what it contains of learnt names and of addresses is replaced
//	path  as text, and its last element too unless it is one that Docker or CNI makes
//	hex   replaced by as many other hexadecimal digits: raw bytes, which may be an address
//	value a map whose values are replaced unless they are plain numbers, booleans or names of links
//
// A string without a tag is a word of the kernel or of the engine's protocol, or a random id. Addresses (netip) are
// told by their type.
type redactor struct {
	key   []byte
	names map[string]string
	order []string // by falling length
	addrs map[netip.Addr]netip.Addr
}

type visit func(v reflect.Value, tag string)

var (
	addrType     = reflect.TypeFor[netip.Addr]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	nsidType     = reflect.TypeFor[NSID]()
)

func (r *redactor) walk(v reflect.Value, tag string, f visit) {
	switch v.Type() {
	case addrType, prefixType, addrPortType:
		f(v, "addr")
		return
	case nsidType:
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.walk(v.Elem(), tag, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			r.walk(v.Index(i), tag, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				r.walk(v.Field(i), v.Type().Field(i).Tag.Get("redact"), f)
			}
		}
	case reflect.Map:
		if tag == "" || v.Type().Elem().Kind() != reflect.String {
			return
		}
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			f(e, tag)
			v.SetMapIndex(k, e)
		}
	case reflect.String:
		if tag != "" && v.String() != "" {
			f(v, tag)
		}
	}
}

// learn collects the names.
func (r *redactor) learn(v reflect.Value, tag string) {
	if tag != "name" {
		return
	}
	s := v.String()
	if _, ok := r.names[s]; ok || wellKnown[s] {
		return
	}
	r.names[s] = "name-" + hex.EncodeToString(r.mac("name", []byte(s)))[:8]
}

// wellKnown are names that every host has: to hide them would hide what a thing is.
var wellKnown = map[string]bool{
	"bridge": true, "host": true, "none": true, "default": true, "ingress": true, "docker_gwbridge": true, "podman": true,
	"nscope": true, "dockerd": true, "containerd": true, "containerd-shim": true, "docker-proxy": true, "docker-init": true,
	"runc": true, "conmon": true, "crio": true, "kubelet": true, "flanneld": true, "pause": true, "systemd": true, "init": true,
	"sh": true, "bash": true, "sleep": true, "tini": true, "netavark": true, "aardvark-dns": true, "rootlessport": true, "localhost": true,
}

func (r *redactor) sortNames() {
	for n := range r.names {
		// A name that is part of too many words says nothing when found inside a path.
		if len(n) >= 3 {
			r.order = append(r.order, n)
		}
	}
	slices.SortFunc(r.order, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

func (r *redactor) replace(v reflect.Value, tag string) {
	switch tag {
	case "addr":
		switch a := v.Interface().(type) {
		case netip.Addr:
			v.Set(reflect.ValueOf(r.addr(a)))
		case netip.Prefix:
			v.Set(reflect.ValueOf(r.prefix(a)))
		case netip.AddrPort:
			if a.IsValid() {
				v.Set(reflect.ValueOf(netip.AddrPortFrom(r.addr(a.Addr()), a.Port())))
			}
		}
	case "name":
		if n, ok := r.names[v.String()]; ok {
			v.SetString(n)
		}
	case "mac":
		v.SetString(r.macAddr(v.String()))
	case "text":
		v.SetString(r.text(v.String()))
	case "path":
		v.SetString(r.path(v.String()))
	case "hex":
		v.SetString(r.hex(v.String()))
	case "value":
		if !plainValue.MatchString(v.String()) {
			v.SetString(r.value(v.String()))
		}
	}
}

// plainValue is a label's or option's value that names nothing: a number, a list of them, a boolean, a name of a link that an engine makes.
var plainValue = regexp.MustCompile(`^(|true|false|[0-9][0-9,.]{0,8}|docker0|docker_gwbridge|podman[0-9]*|br-[0-9a-f]{12}|[0-9a-z]{25}|[0-9a-f]{64})$`)

func (r *redactor) hex(s string) string {
	var b strings.Builder
	for i := 0; b.Len() < len(s); i++ {
		b.WriteString(hex.EncodeToString(r.mac("hex", append([]byte(s), byte(i), byte(i>>8)))))
	}
	return b.String()[:len(s)]
}

func (r *redactor) value(s string) string {
	if n, ok := r.names[s]; ok {
		return n
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return r.text(s)
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return r.text(s)
	}
	if wellKnown[s] {
		return s
	}
	return "value-" + hex.EncodeToString(r.mac("value", []byte(s)))[:8]
}

var (
	addrInText = regexp.MustCompile(`[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}`)
	machineMnt = regexp.MustCompile(`^([0-9]+-[0-9a-z]{10}|lb_[0-9a-z]{9}|ingress_sbox|default|[0-9a-f]{12}|(cni|netns)-[0-9a-f-]{36}|net|[0-9]+)$`)
)

func (r *redactor) text(s string) string {
	s = addrInText.ReplaceAllStringFunc(s, func(m string) string {
		if a, err := netip.ParseAddr(m); err == nil {
			return r.addr(a).String()
		}
		if len(m) == 17 {
			return r.macAddr(m)
		}
		return m
	})
	for _, n := range r.order {
		if strings.Contains(s, n) {
			s = replaceWord(s, n, r.names[n])
		}
	}
	return s
}

// replaceWord replaces old where it stands as a word of its own.
func replaceWord(s, old, new string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, old)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := i + len(old)
		word := (i > 0 && alnum(s[i-1])) || (end < len(s) && alnum(s[end]))
		b.WriteString(s[:i])
		if word {
			b.WriteString(old)
		} else {
			b.WriteString(new)
		}
		s = s[end:]
	}
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (r *redactor) path(s string) string {
	s = r.text(s)
	i := strings.LastIndexByte(s, '/')
	base := s[i+1:]
	if base == "" || machineMnt.MatchString(base) || strings.HasPrefix(base, "name-") {
		return s
	}
	if strings.Contains(s, "/netns/") {
		return s[:i+1] + "name-" + hex.EncodeToString(r.mac("name", []byte(base)))[:8]
	}
	return s
}

func (r *redactor) mac(kind string, b []byte) []byte {
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write(b)
	return h.Sum(nil)
}

// macAddr replaces a MAC, and leaves what is no station's: zeros, broadcast and multicast.
func (r *redactor) macAddr(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != 6 || b[0]&1 != 0 || strings.Trim(s, "0:") == "" {
		return s
	}
	h := r.mac("mac", b)
	out := make([]string, 6)
	out[0] = hex.EncodeToString([]byte{h[0]&^3 | b[0]&2})
	for i := 1; i < 6; i++ {
		out[i] = hex.EncodeToString(h[i : i+1])
	}
	return strings.Join(out, ":")
}

func (r *redactor) prefix(p netip.Prefix) netip.Prefix {
	if !p.IsValid() {
		return p
	}
	a := r.addr(p.Addr())
	if p.Addr() == p.Masked().Addr() {
		return netip.PrefixFrom(a, p.Bits()).Masked()
	}
	return netip.PrefixFrom(a, p.Bits())
}

// keptBits is how many leading bits of an address tell its kind and stay; all of them where nothing is secret.
func keptBits(a netip.Addr) int {
	all := a.BitLen()
	switch {
	case a.IsUnspecified(), a.IsLoopback(), a.IsMulticast():
		return all
	case a.Is4():
		b := a.As4()
		switch {
		case b == [4]byte{255, 255, 255, 255}:
			return all
		case b[0] == 0, b[0] == 10, b[0] == 127:
			return 8
		case b[0] == 172 && b[1]&0xf0 == 16:
			return 12
		case b[0] == 192 && b[1] == 168, b[0] == 169 && b[1] == 254:
			return 16
		case b[0] == 100 && b[1]&0xc0 == 64:
			return 10
		}
		return 8 // a public one: its /8 says little, and changed it might become a private one
	case a.IsLinkLocalUnicast():
		return 64
	case a.IsPrivate():
		return 8
	}
	return 16
}

// addr replaces the bits after the kept ones, prefix-preserving: whether bit i is flipped depends only on the bits
// before it (as in Crypto-PAn, Xu et al. 2002), so that two addresses agree in as many leading bits as before.
func (r *redactor) addr(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	if a.Is4In6() {
		return netip.AddrFrom16(r.addr(a.Unmap()).As16())
	}
	zone := a.Zone()
	a = a.WithZone("")
	if b, ok := r.addrs[a]; ok {
		return b.WithZone(zone)
	}
	raw := a.AsSlice()
	out := slices.Clone(raw)
	for i := keptBits(a); i < len(raw)*8; i++ {
		var in [18]byte
		binary.BigEndian.PutUint16(in[:], uint16(i))
		copy(in[2:], raw[:i/8])
		in[2+i/8] = raw[i/8] &^ (0xff >> (i % 8))
		out[i/8] ^= (r.mac("addr", in[:2+i/8+1])[0] & 1) << (7 - i%8)
	}
	b, _ := netip.AddrFromSlice(out)
	r.addrs[a] = b
	return b.WithZone(zone)
}
