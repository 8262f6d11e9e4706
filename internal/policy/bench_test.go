package policy

import (
	"context"
	"testing"
	"time"

	"kith/policies"
)

// BenchmarkDecide measures one decision over 40 tuples of the default version.
func BenchmarkDecide(b *testing.B) {
	version, err := Load(policies.Default())
	if err != nil {
		b.Fatal(err)
	}
	for _, run := range []struct {
		name string
		keep int
	}{{"cold", 0}, {"kept", 100}} {
		b.Run(run.name, func(b *testing.B) {
			active, err := Compile(version, nil, Options{Keep: run.keep, Deadline: time.Second})
			if err != nil {
				b.Fatal(err)
			}
			in := typicalInput(version)
			b.ReportAllocs()
			for b.Loop() {
				d, err := active.Decide(context.Background(), in)
				if err != nil || !d.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
