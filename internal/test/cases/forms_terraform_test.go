package cases

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const terraformBase = `
resource "aws_vpc" "main" { cidr_block = "10.1.0.0/16" }
resource "aws_subnet" "net" {
  count      = 2
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
}
resource "aws_security_group" "edge" {
  vpc_id = aws_vpc.main.id
  ingress {
    protocol    = "tcp"
    from_port   = 80
    to_port     = 80
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_security_group" "task" {
  vpc_id = aws_vpc.main.id
}
resource "aws_security_group_rule" "out" {
  security_group_id = aws_security_group.task.id
  type              = "egress"
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["0.0.0.0/0"]
}
resource "aws_security_group_rule" "open" {
  security_group_id        = aws_security_group.task.id
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = 80
  to_port                  = 80
  source_security_group_id = aws_security_group.edge.id
}
resource "aws_lb" "edge" {
  subnets         = aws_subnet.net[*].id
  security_groups = [aws_security_group.edge.id]
}
resource "aws_lb_target_group" "pool" {
  port        = 80
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = aws_vpc.main.id
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.edge.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pool.arn
  }
}
resource "aws_ecs_cluster" "this" { name = "web" }
resource "aws_ecs_task_definition" "web" {
  family                   = "web"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  container_definitions    = jsonencode([{ name = "web", image = "nginx", portMappings = [{ containerPort = 80 }] }])
}
resource "aws_ecs_service" "web" {
  name                              = "web"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.web.arn
  desired_count                     = 1
  launch_type                       = "FARGATE"
  health_check_grace_period_seconds = 60
  network_configuration {
    subnets         = aws_subnet.net[*].id
    security_groups = [aws_security_group.task.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.pool.arn
    container_name   = "web"
    container_port   = 80
  }
  depends_on = [aws_lb_listener.http]
}
`

var blockHead = regexp.MustCompile(`(?m)^resource "\w+" "(\w+)"`)

const closedTerraform = "error target-ingress-closed aws_security_group.task"

// rule is a rule of the task's group with the given lines.
func rule(lines string) string {
	return `
resource "aws_security_group_rule" "open" {
  security_group_id        = aws_security_group.task.id
  type                     = "ingress"
  protocol                 = "tcp"
  source_security_group_id = aws_security_group.edge.id
` + lines + "\n}\n"
}

const on80 = "  from_port = 80\n  to_port = 80\n"

var terraformForms = []form{
	{name: "base", truth: "200"},
	{name: "rule left out", truth: "80 is closed", without: "open", want: []string{closedTerraform}},

	// Repetition.
	{name: "count of none",
		truth:   "the rule does not exist",
		without: "open",
		add:     rule("  count = 0\n" + on80),
		want:    []string{closedTerraform}},
	{name: "count that is not settled",
		truth:   "whether the rule exists is for the plan",
		without: "open",
		head:    "variable \"on\" { type = bool }\n",
		add:     rule("  count = var.on ? 1 : 0\n" + on80), unknown: true},
	{name: "for_each over a set", truth: "one of the rules opens 80", without: "open",
		add: rule("  for_each = toset([\"80\", \"8081\"])\n  from_port = tonumber(each.key)\n  to_port = each.value\n")},
	{name: "for_each over a map with a filter", truth: "one of the rules opens 80", without: "open",
		head: "locals {\n  ports = { web = { port = 80, open = true }, admin = { port = 8081, open = false } }\n}\n",
		add:  rule("  for_each = { for k, v in local.ports : k => v.port if v.open }\n  from_port = each.value\n  to_port = each.value\n")},
	{name: "for_each over a map, filtered away", truth: "80 is closed", without: "open", want: []string{closedTerraform},
		head: "locals {\n  ports = { web = { port = 80, open = false }, admin = { port = 8081, open = true } }\n}\n",
		add:  rule("  for_each = { for k, v in local.ports : k => v.port if v.open }\n  from_port = each.value\n  to_port = each.value\n")},
	{name: "for_each over what is not settled", truth: "which rules there are is for the plan", without: "open", unknown: true,
		head: "variable \"ports\" { type = set(string) }\n",
		add:  rule("  for_each = var.ports\n  from_port = each.value\n  to_port = each.value\n")},
	{name: "dynamic blocks over a list", truth: "80 is open", without: "task open",
		head: "variable \"ports\" {\n  type = list(number)\n  default = [80, 443]\n}\n",
		add: `
resource "aws_security_group" "task" {
  vpc_id = aws_vpc.main.id
  dynamic "ingress" {
    for_each = var.ports
    iterator = it
    content {
      protocol        = "tcp"
      from_port       = it.value
      to_port         = it.value
      security_groups = [aws_security_group.edge.id]
    }
  }
}
`},
	{name: "dynamic blocks over a list that is not settled",
		truth:   "which rules there are is for the plan",
		without: "task open out",
		unknown: true,
		head:    "variable \"ports\" { type = list(number) }\n",
		add: `
resource "aws_security_group" "task" {
  vpc_id = aws_vpc.main.id
  dynamic "ingress" {
    for_each = var.ports
    content {
      protocol        = "tcp"
      from_port       = ingress.value
      to_port         = ingress.value
      security_groups = [aws_security_group.edge.id]
    }
  }
}
`},
	{name: "rules as an argument", truth: "80 is open", without: "task open out",
		add: `
resource "aws_security_group" "task" {
  vpc_id = aws_vpc.main.id
  ingress = [{
    description = "", protocol = "tcp", from_port = 80, to_port = 80, security_groups = [aws_security_group.edge.id]
    cidr_blocks = [], ipv6_cidr_blocks = [], prefix_list_ids = [], self = false
  }]
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}
`},
	{name: "a module with count of none", truth: "the module's rule does not exist", without: "open", want: []string{closedTerraform},
		add: "module \"open\" {\n  source = \"./open\"\n  count = 0\n  group = aws_security_group.task.id\n  peer = aws_security_group.edge.id\n}\n"},
	{name: "a module for each name", truth: "one of the instances opens 80", without: "open",
		add: "module \"open\" {\n  source = \"./open\"\n  for_each = { web = 80, admin = 8081 }\n  port = each.value\n  group = aws_security_group.task.id\n  peer = aws_security_group.edge.id\n}\n"},

	// Expressions.
	{name: "try of an attribute that is not there", truth: "the default opens 80", without: "open",
		head: "variable \"app\" {\n  type = any\n  default = {}\n}\n",
		add:  rule("  from_port = try(var.app.port, 80)\n  to_port = try(var.app.port, 80)\n")},
	{name: "optional attribute with a default", truth: "the default opens 80", without: "open",
		head: "variable \"app\" {\n  type = object({ port = optional(number, 80), name = optional(string) })\n  default = {}\n}\n",
		add:  rule("  from_port = var.app.port\n  to_port = var.app.port\n")},
	{name: "optional attribute with another default", truth: "80 is closed", without: "open", want: []string{closedTerraform},
		head: "variable \"app\" {\n  type = object({ port = optional(number, 8080) })\n  default = {}\n}\n",
		add:  rule("  from_port = var.app.port\n  to_port = var.app.port\n")},
	{name: "merge and lookup", truth: "the later map wins: 8080 is open", without: "open", want: []string{closedTerraform},
		head: "locals {\n  ports = merge({ web = 80 }, { web = 8080 })\n}\n",
		add:  rule("  from_port = lookup(local.ports, \"web\", 80)\n  to_port = local.ports[\"web\"]\n")},
	{name: "port that is not settled on every side",
		truth:   "one and the same port everywhere, which is for the plan",
		without: "open pool web",
		unknown: true,
		head:    "variable \"port\" { type = number }\n",
		add: rule("  from_port = var.port\n  to_port = var.port\n") + `
resource "aws_lb_target_group" "pool" {
  port        = var.port
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = aws_vpc.main.id
}
resource "aws_ecs_task_definition" "web" {
  family                   = "web"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  container_definitions    = jsonencode([{ name = "web", image = "nginx", portMappings = [{ containerPort = var.port }] }])
}
resource "aws_ecs_service" "web" {
  name                              = "web"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.web.arn
  desired_count                     = 1
  launch_type                       = "FARGATE"
  health_check_grace_period_seconds = 60
  network_configuration {
    subnets         = aws_subnet.net[*].id
    security_groups = [aws_security_group.task.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.pool.arn
    container_name   = "web"
    container_port   = var.port
  }
  depends_on = [aws_lb_listener.http]
}
`},

	// Blocks that make nothing.
	{name: "moved, removed, import and check blocks", truth: "80 is closed", without: "open", want: []string{closedTerraform},
		add: `
moved {
  from = aws_security_group_rule.open
  to   = aws_security_group_rule.opened
}
removed {
  from = aws_security_group_rule.opened
  lifecycle {
    destroy = false
  }
}
import {
  to = aws_ecs_cluster.this
  id = "web"
}
check "up" {
  assert {
    condition     = aws_lb.edge.arn != ""
    error_message = "no load balancer"
  }
}
`},
	{name: "provider defaults", truth: "200", head: `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 6.0" }
  }
}
provider "aws" {
  region = "eu-west-1"
  default_tags {
    tags = { team = "web" }
  }
}
provider "aws" {
  alias  = "other"
  region = "us-east-1"
}
`},
	{name: "a target group that an output gives away", truth: "who calls this module may register targets", without: "web", unknown: true,
		add: "output \"pool\" { value = aws_lb_target_group.pool.arn }\n"},
	{name: "no targets at all", truth: "503", without: "web", want: []string{"warning listener-without-targets aws_lb_target_group.pool"}},
	{name: "bare list and map as types", truth: "the older way to write list(any) and map(any); 80 is open", without: "open",
		head: "variable \"ports\" {\n  type = list\n  default = [80]\n}\nvariable \"tags\" {\n  type = map\n  default = {}\n}\n",
		add:  rule("  from_port = var.ports[0]\n  to_port = var.ports[0]\n")},

	// What is looked up.
	{name: "the default VPC and its group",
		truth:   "what the default group lets in is not in the source",
		without: "main net task open out",
		unknown: true,
		swap: []string{"aws_vpc.main", "data.aws_vpc.main", "aws_subnet.net[*].id", "data.aws_subnets.net.ids",
			"aws_security_group.task", "data.aws_security_group.task"},
		add: `
data "aws_vpc" "main" { default = true }
data "aws_subnets" "net" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.main.id]
  }
}
data "aws_security_group" "task" {
  vpc_id = data.aws_vpc.main.id
  name   = "default"
}
`},
	{name: "a prefix list", truth: "whether the list has the load balancer's subnets is not in the source", without: "open", unknown: true,
		head: "data \"aws_ec2_managed_prefix_list\" \"vpc\" { name = \"vpc\" }\n",
		add: `
resource "aws_security_group_rule" "open" {
  security_group_id = aws_security_group.task.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 80
  to_port           = 80
  prefix_list_ids   = [data.aws_ec2_managed_prefix_list.vpc.id]
}
`},
	{name: "rule resources of the newer kind, all protocols", truth: "-1 opens every port", without: "open",
		add: `
resource "aws_vpc_security_group_ingress_rule" "open" {
  security_group_id            = aws_security_group.task.id
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.edge.id
}
`},
	{name: "self in one shared group", truth: "load balancer and tasks share a group that lets in itself", without: "open edge",
		add: `
resource "aws_security_group_rule" "self" {
  security_group_id = aws_security_group.task.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 80
  to_port           = 80
  self              = true
}
resource "aws_security_group_rule" "world" {
  security_group_id = aws_security_group.task.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_blocks       = ["203.0.113.0/24"]
}
resource "aws_lb" "edge" {
  subnets         = aws_subnet.net[*].id
  security_groups = [aws_security_group.task.id]
}
`},

	// What excludes one another.
	{name: "equal priorities of which one exists", truth: "one rule in every deployment", head: "variable \"green\" { type = bool }\n",
		add: `
resource "aws_lb_listener_rule" "blue" {
  count        = var.green ? 0 : 1
  listener_arn = aws_lb_listener.http.arn
  priority     = 1
  condition {
    path_pattern {
      values = ["/a"]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pool.arn
  }
}
resource "aws_lb_listener_rule" "green" {
  count        = var.green ? 1 : 0
  listener_arn = aws_lb_listener.http.arn
  priority     = 1
  condition {
    path_pattern {
      values = ["/b"]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pool.arn
  }
}
`},
	{name: "equal priorities that exist together", truth: "refused when both exist", head: "variable \"more\" { type = bool }\n",
		want: []string{"warning duplicate-rule-priority aws_lb_listener_rule.green"},
		add: `
resource "aws_lb_listener_rule" "blue" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 1
  condition {
    path_pattern {
      values = ["/a"]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pool.arn
  }
}
resource "aws_lb_listener_rule" "green" {
  count        = var.more ? 1 : 0
  listener_arn = aws_lb_listener.http.arn
  priority     = 1
  condition {
    path_pattern {
      values = ["/b"]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pool.arn
  }
}
`},
	{name: "one rule or the other, one for another port", truth: "80 is closed unless the variable is true", without: "open",
		head: "variable \"web\" { type = bool }\n", want: []string{"warning target-ingress-closed aws_security_group.task"},
		add: rule("  count = var.web ? 1 : 0\n"+on80) + `
resource "aws_security_group_rule" "other" {
  count                    = var.web ? 0 : 1
  security_group_id        = aws_security_group.task.id
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = 81
  to_port                  = 81
  source_security_group_id = aws_security_group.edge.id
}
`},
}

func TestTerraformForms(t *testing.T) {
	for _, f := range terraformForms {
		t.Run(f.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("main.tf", f.head+f.swapped(except(terraformBase, f.without, blockHead))+f.add)
			write("open/main.tf", `
variable "group" {}
variable "peer" {}
variable "port" { default = 80 }
resource "aws_security_group_rule" "open" {
  security_group_id        = var.group
  type                     = "ingress"
  protocol                 = "tcp"
  from_port                = var.port
  to_port                  = var.port
  source_security_group_id = var.peer
}
`)
			f.try(t, dir)
		})
	}
}
