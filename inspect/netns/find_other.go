//go:build !linux

package netns

import "context"

func find(context.Context, options) (*Found, error) { return nil, ErrUnsupported }

// Open fails with [ErrUnsupported].
func (n *Namespace) Open() (*Handle, error) { return nil, ErrUnsupported }

func findSelf() (*Found, error) { return nil, ErrUnsupported }

// Mounted is false.
func (n *Namespace) Mounted(string) bool { return false }
