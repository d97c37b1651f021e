package envoy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// endpointFile is where an egress endpoint's tasks stand.
func endpointFile(dir string, e agent.Egress) string {
	return filepath.Join(dir, name("egress", key(e))+".json")
}

// Endpoints returns the content of an egress endpoint's file: a discovery
// response with the tasks. Envoy takes it when version differs from the last.
func Endpoints(e agent.Egress, hosts []netip.AddrPort, version int) ([]byte, error) {
	a := assignment(name("egress", key(e)), hosts)
	if err := Validate(a); err != nil {
		return nil, err
	}
	packed, err := anypb.New(a)
	if err != nil {
		return nil, err
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(packed)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(struct {
		Version   string            `json:"version_info"`
		Resources []json.RawMessage `json:"resources"`
	}{fmt.Sprint(version), []json.RawMessage{raw}}, "", "  ")
}

// WriteEndpoints replaces an egress endpoint's file. Envoy notices a file that
// is moved to the place of the old one, and not one that is written over.
func WriteEndpoints(dir string, e agent.Egress, hosts []netip.AddrPort, version int) error {
	b, err := Endpoints(e, hosts, version)
	if err != nil {
		return err
	}
	path := endpointFile(dir, e)
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
