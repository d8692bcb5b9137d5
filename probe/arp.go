package probe

// ARPAnswers is what ARP found beside its attempts.
type ARPAnswers struct{}
