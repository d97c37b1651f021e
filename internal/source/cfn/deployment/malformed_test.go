package deployment

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
)

// TestMalformedNumbers: CloudFormation refuses these for a property of type
// Integer; a whole number may be written as text or with a fraction of zero.
func TestMalformedNumbers(t *testing.T) {
	for value, bad := range map[string]bool{`"abc"`: true, "1.5": true, "1e30": true, `""`: true, "true": true, `"0x50"`: true, "8081": false,
		`"8081"`: false, "8081.0": false, `{"Ref":"P"}`: false} {
		text := fmt.Sprintf(`{"Parameters":{"P":{"Type":"Number"}},"Resources":{
"S":{"Type":"AWS::ECS::Service","Properties":{"ServiceConnectConfiguration":{"Enabled":true,"Services":[{"PortName":"app",
"IngressPortOverride":%s}]}}}}}`, value)
		asm, err := cfn.Parse("t.json", []byte(text), cfn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		top, err := FromTemplates(asm)
		if err != nil {
			t.Fatal(err)
		}
		if got := top.Malformed; len(got) != map[bool]int{true: 1}[bad] {
			t.Errorf("%s: %v", value, got)
		} else if bad && (got[0].Origin.ID != top.Services[0].ID || got[0].Origin.Line != 3) {
			t.Errorf("%s: at %+v; want the service, line 3", value, got[0].Origin)
		}
	}
}
