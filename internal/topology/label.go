package topology

import (
	"cmp"
	"strings"
)

// Label returns the name people know a resource by: its own name, else the
// last telling part of its construct path, else its logical ID.
func Label(o Origin, name Opt[string]) string {
	if n, ok := name.Get(); ok && n != "" {
		return n
	}
	return OriginLabel(o)
}

// generic are construct names that say nothing without their parent's.
var generic = map[string]bool{
	"Sg": true, "SecurityGroup": true, "Service": true, "TargetGroup": true, "Listener": true, "LB": true, "Role": true,
	"TaskRole": true, "TaskDef": true, "TaskDefinition": true, "Group": true,
}

// OriginLabel is Label for a resource without a name of its own.
func OriginLabel(o Origin) string {
	var parts []string
	for _, p := range strings.Split(o.Path, "/") {
		if p != "" && p != "Resource" && p != "Default" && (len(parts) == 0 || parts[len(parts)-1] != p) {
			parts = append(parts, p)
		}
	}
	switch n := len(parts); {
	case n > 1 && generic[parts[n-1]]:
		return parts[n-2] + "/" + parts[n-1]
	case n > 0:
		return parts[n-1]
	}
	id := string(o.ID)
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		id = id[i+1:]
	}
	return cmp.Or(id, "unnamed")
}
