package topology

// revision is what of a service makes Amazon ECS replace its tasks when it
// changes: what UpdateService documents as starting a deployment.
type revision struct {
	task            *TaskDefinition
	connect         *ServiceConnect
	groups, subnets []Opt[ID]
	public          Opt[string]
	balancers       []ServiceTarget
	registries      []ID
	platform        Opt[string]
	grace           Opt[int]
}

func revisionOf(s *Service) revision {
	return revision{s.Task, s.Connect, s.Groups, s.Subnets, s.AssignPublicIP, s.LoadBalancers, s.Registries, s.PlatformVersion, s.GraceSeconds}
}

// SameRevision reports whether an update from one definition of a service to
// the other leaves its tasks alone. Another desired count does: it scales.
func SameRevision(a, b *Service) bool { return Same(revisionOf(a), revisionOf(b)) }
