package reach_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestURLsInText finds the hosts of URLs as they stand in commands, in lists
// and in configuration, and takes no pattern for a name.
func TestURLsInText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"http://api", []string{"api:80"}},
		{"https://api/x?y=http://web:81", []string{"api:443", "web:81"}},
		{"http://api:8080,https://web;http://job:9", []string{"api:8080", "web:443", "job:9"}},
		{`["http://api","http://web:81"]`, []string{"api:80", "web:81"}},
		{"curl -f http://api:80||exit 1", []string{"api:80"}},
		{"X=$(curl http://api) && curl `http://web`>/dev/null", []string{"api:80", "web:80"}},
		{"curl http://api&& curl http://web|jq", []string{"api:80", "web:80"}},
		{"see http://api. Or <http://web>", []string{"api:80", "web:80"}},
		{"http://user:secret@api:9200/x@y", []string{"api:9200"}},
		{"https://token@api", []string{"api:443"}},
		{"http://${AWS::StackName}-api:81", []string{"${AWS::StackName}-api:81"}},
		{"http://+:8080;http://*:80", nil}, // what a server listens on
		{"http://$HOST:80 http://api-$ENV http://%s http://{host}:80 http://api:$PORT", nil},
		{"http://[::1]:80 grpc://api http://", nil},
	} {
		task := &topology.TaskDefinition{Containers: []topology.Container{{Command: []topology.Opt[string]{topology.Known(tt.text)}}}}
		var got []string
		reach.EachURL(task, func(host string, port int, _ string) { got = append(got, fmt.Sprintf("%s:%d", host, port)) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}
