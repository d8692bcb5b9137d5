package probe

// LookupError is a name that FROM's own files and name servers did not resolve.
type LookupError struct {
	Host   string
	Class  Class
	Reason string
}

func (e *LookupError) Error() string { return e.Host + ": " + e.Reason }
