package terraform_test

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// TestMalformedNumbers: the provider refuses these for an attribute of type
// number that holds an integer; text that is a number is one, and what is not
// known is not judged.
func TestMalformedNumbers(t *testing.T) {
	for value, bad := range map[string]bool{`"abc"`: true, "1.5": true, "1e30": true, `""`: true, "true": true, `[1]`: true, `"2"`: false,
		"2": false, "2.0": false, "null": false, "var.n": false, "aws_vpc.v.id": false} {
		text := fmt.Sprintf("variable \"n\" {}\nresource \"aws_vpc\" \"v\" {}\nresource \"aws_ecs_service\" \"s\" {\n  name = \"s\"\n  desired_count = %s\n}\n", value)
		top := load(t, text)
		got := top.Malformed
		if len(got) != map[bool]int{true: 1}[bad] {
			t.Errorf("%s: %v", value, got)
		} else if bad && (got[0].Origin.ID != "aws_ecs_service.s" || got[0].Origin.Line != 5) {
			t.Errorf("%s: at %+v; want the service, line 5", value, got[0].Origin)
		}
	}
}

// TestMalformedBlocks: also in nested blocks, and in the JSON of containers.
func TestMalformedBlocks(t *testing.T) {
	text := `resource "aws_security_group" "g" {
  ingress {
    protocol    = "tcp"
    from_port   = "http"
    to_port     = 80
    cidr_blocks = ["10.0.0.0/8"]
  }
}
resource "aws_ecs_task_definition" "t" {
  family = "t"
  container_definitions = jsonencode([{ name = "app", image = "x", portMappings = [{ containerPort = "web" }] }])
}
`
	top := load(t, text)
	at := map[topology.ID]int{}
	for _, n := range top.Malformed {
		at[n.Origin.ID]++
	}
	if at["aws_security_group.g"] != 1 || at["aws_ecs_task_definition.t"] != 1 || len(top.Malformed) != 2 {
		t.Errorf("%v", top.Malformed)
	}
}
