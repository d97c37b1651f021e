package awsrun

// SetPace replaces the pace of every run that follows.
func SetPace(p Pace) { pace = p }
