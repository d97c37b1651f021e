package lab

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// NamespaceStatus is what AWS Cloud Map lists of a Service Connect namespace.
type NamespaceStatus struct {
	Name string `json:"name"`
	// Entries are the services of Cloud Map in it, in the order of their names.
	Entries []NamespaceEntry `json:"entries"`
}

// NamespaceEntry is a service of Cloud Map: an endpoint under its discovery
// name, or the entry that Amazon ECS makes for a service that is client only.
// It is there as soon as the service of Amazon ECS, also without a task.
type NamespaceEntry struct {
	Name string `json:"name"`
	// Instances are the attributes of its tasks, as DiscoverInstances gives them.
	Instances []map[string]string `json:"instances,omitempty"`
}

// What a lab says in ARNs: the Region whose host names its tasks have, and the
// account of AWS's own examples.
const (
	region  = "us-east-1"
	account = "111122223333"
)

// cloudMap lists the namespaces of the deployment itself; twins are the lab's.
func (dc *deploymentCopy) cloudMap() (out []NamespaceStatus) {
	for _, s := range dc.services {
		if !s.def.Connected() {
			continue
		}
		ns := dc.lab.index.NamespaceOf(s.def.Connect)
		if ns == nil {
			continue
		}
		name := ns.Name.Or(ns.Title())
		i := slices.IndexFunc(out, func(n NamespaceStatus) bool { return n.Name == name })
		if i < 0 {
			out = append(out, NamespaceStatus{Name: name})
			i = len(out) - 1
		}
		out[i].Entries = append(out[i].Entries, s.entries()...)
	}
	for _, n := range out {
		slices.SortFunc(n.Entries, func(a, b NamespaceEntry) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

// entries are what the service has in its namespace. What instances the entry
// of a client-only service has is not known.
func (s *service) entries() (out []NamespaceEntry) {
	for _, e := range s.copy.lab.index.Endpoints(s.def.ID) {
		d, ok := e.Config.Discovery().Get()
		if _, _, settled := ports(e); !ok || !settled {
			continue
		}
		n := NamespaceEntry{Name: d}
		for _, t := range s.tasks {
			if port, ok := t.ingress(e); ok && t.known {
				n.Instances = append(n.Instances, map[string]string{
					"AWS_INSTANCE_IPV4": t.iface.IP.String(), "AWS_INSTANCE_PORT": strconv.Itoa(int(port)), "DeploymentId": s.taskSet(t.rollout)})
			}
		}
		out = append(out, n)
	}
	if len(s.def.Connect.Endpoints) == 0 {
		out = append(out, NamespaceEntry{Name: fmt.Sprintf("aws-ecs-sc.client.%s.%s", uuidOf(s.def.ID), s.name())})
	}
	return out
}

// taskSet is the ARN of a deployment's task set.
func (s *service) taskSet(rollout int) string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:task-set/%s/%s/%s", region, account, s.def.Cluster.Or("default"), s.name(), s.deploymentName(rollout))
}

// uuidOf is a UUID that stays the same from run to run.
func uuidOf(id topology.ID) string {
	h := sha256.Sum256([]byte(id))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
