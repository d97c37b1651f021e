package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/source/terraform"
)

// fleet writes a configuration of ten resources per service around one
// cluster and load balancer.
func fleet(services int) string {
	var b strings.Builder
	b.WriteString(`
variable "vpc" { default = "vpc-1" }
locals {
  name  = "fleet"
  ports = { for i in range(4) : "p${i}" => 8000 + i }
}
resource "aws_security_group" "alb" {
  name = "${local.name}-alb"
}
resource "aws_lb" "main" {
  security_groups = [aws_security_group.alb.id]
  subnets         = ["subnet-1", "subnet-2"]
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}
resource "aws_ecs_cluster" "main" {
  name = local.name
}
`)
	for i := range services {
		fmt.Fprintf(&b, `
resource "aws_security_group" "s%[1]d" {
  name   = "${local.name}-%[1]d"
  vpc_id = var.vpc
}
resource "aws_security_group_rule" "in%[1]d" {
  for_each                 = local.ports
  type                     = "ingress"
  security_group_id        = aws_security_group.s%[1]d.id
  source_security_group_id = aws_security_group.alb.id
  from_port                = each.value
  to_port                  = each.value
  protocol                 = "tcp"
  description              = "${each.key} of ${aws_security_group.s%[1]d.name}"
}
resource "aws_vpc_security_group_egress_rule" "out%[1]d" {
  security_group_id            = aws_security_group.alb.id
  referenced_security_group_id = aws_security_group.s%[1]d.id
  from_port                    = 8000
  to_port                      = 8003
  ip_protocol                  = "tcp"
}
resource "aws_lb_target_group" "s%[1]d" {
  name        = "${local.name}-%[1]d"
  port        = local.ports["p0"]
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = var.vpc
}
resource "aws_lb_listener_rule" "s%[1]d" {
  listener_arn = aws_lb_listener.http.arn
  priority     = %[1]d + 1
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.s%[1]d.arn
  }
  condition {
    path_pattern {
      values = ["/%[1]d/*"]
    }
  }
}
resource "aws_ecs_task_definition" "s%[1]d" {
  family       = "s%[1]d"
  network_mode = "awsvpc"
  container_definitions = jsonencode([{
    name         = "app"
    image        = "app:%[1]d"
    portMappings = [for name, port in local.ports : { name = name, containerPort = port, appProtocol = "http" }]
  }])
}
resource "aws_ecs_service" "s%[1]d" {
  name            = "s%[1]d"
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.s%[1]d.arn
  desired_count   = 2
  network_configuration {
    subnets         = ["subnet-1", "subnet-2"]
    security_groups = [aws_security_group.s%[1]d.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.s%[1]d.arn
    container_name   = "app"
    container_port   = 8000
  }
}
`, i)
	}
	return b.String()
}

// BenchmarkLoad reads 500 resources: 50 services.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(fleet(50)), 0o644); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		top, err := terraform.Load(dir, terraform.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if n := len(top.Services); n != 50 {
			b.Fatalf("%d services", n)
		}
	}
}
