package awsrun

// SetPace replaces the pace of every run that follows.
func SetPace(p Pace) { pace = p }

// OnCall has f called with every operation that a client calls.
func OnCall(f func(operation string)) { onCall = f }
