package seed

import "testing"

// TestOf: the seed of a name is one, of another name another, and what is asked for counts.
func TestOf(t *testing.T) {
	t.Setenv(variable, "")
	here := Of(t)
	if again := Of(t); here != again {
		t.Error("the same test has two")
	}
	t.Run("other", func(t *testing.T) {
		if Of(t) == here {
			t.Error("two tests have the same")
		}
	})
	t.Setenv(variable, "17")
	if n := Of(t); n != 17 {
		t.Errorf("%d is not what was asked for", n)
	}
	t.Setenv(variable, "random")
	if a, b := Of(t), Of(t); a == b {
		t.Error("it is not random")
	}
}
