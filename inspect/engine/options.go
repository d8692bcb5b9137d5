package engine

import (
	"os"
)

func (o *Options) defaults() {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
}
