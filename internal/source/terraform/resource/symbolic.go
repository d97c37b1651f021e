package resource

// symbolic lists, by type, the attributes that AWS computes and that stand
// as symbols beside id and arn: strings that identify a resource or a part
// of the environment, so that what is built from them stays recognisable.
var symbolic = map[string][]string{
	"aws_caller_identity":     {"account_id"},
	"aws_default_vpc":         {"default_route_table_id", "default_security_group_id", "main_route_table_id"},
	"aws_ecs_task_definition": {"arn_without_revision"},
	"aws_iam_policy_document": {"json", "minified_json"},
	"aws_iam_role":            {"name"},
	"aws_partition":           {"partition", "dns_suffix"},
	"aws_region":              {"name", "region"},
	"aws_vpc":                 {"default_route_table_id", "default_security_group_id", "main_route_table_id"},
}

// naming lists, by type, the argument by which others refer to a resource as
// they do by its id.
var naming = map[string]string{
	"aws_autoscaling_group":                       "name",
	"aws_ecs_capacity_provider":                   "name",
	"aws_ecs_cluster":                             "name",
	"aws_ecs_service":                             "name",
	"aws_ecs_task_definition":                     "family",
	"aws_iam_instance_profile":                    "name",
	"aws_iam_role":                                "name",
	"aws_launch_configuration":                    "name",
	"aws_launch_template":                         "name",
	"aws_lb_target_group":                         "name",
	"aws_alb_target_group":                        "name",
	"aws_service_discovery_http_namespace":        "name",
	"aws_service_discovery_private_dns_namespace": "name",
	"aws_service_discovery_public_dns_namespace":  "name",
}

// Naming returns the argument that names a resource of a type, "" where no
// reference goes by name. Where its value is not known, it stands as a symbol:
// whatever the name is, it is that resource's.
func Naming(typ string) string { return naming[typ] }

// Symbolic returns the computed attributes of a resource type that stand as symbols.
func Symbolic(typ string) []string {
	return append([]string{"id", "arn"}, symbolic[typ]...)
}
