package procnet

import "testing"

func BenchmarkSysctls(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Sysctls(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCounters(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Counters(); err != nil {
			b.Fatal(err)
		}
	}
}
