package check

import "fmt"

// Severity ranks a finding. Higher is worse.
type Severity int

// The severities. An error fails hoplab check.
const (
	Note    Severity = iota // worth knowing; nothing is broken
	Warning                 // works today or in part; costs or breaks later
	Error                   // the deployment fails, or a caller does
)

var severityNames = [...]string{"note", "warning", "error"}

func (s Severity) String() string {
	if s < Note || s > Error {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	v, err := ParseSeverity(string(b))
	*s = v
	return err
}

// ParseSeverity reads "note", "warning" or "error".
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return Note, fmt.Errorf("severity %q: choose note, warning or error", name)
}
