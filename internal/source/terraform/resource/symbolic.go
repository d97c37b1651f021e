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

// Symbolic returns the computed attributes of a resource type that stand as symbols.
func Symbolic(typ string) []string {
	return append([]string{"id", "arn"}, symbolic[typ]...)
}
