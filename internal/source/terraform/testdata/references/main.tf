# One thing referred to in every way that Terraform allows.

resource "aws_ecs_cluster" "a" {
  name = "a"
  service_connect_defaults {
    namespace = "by-name"
  }
}

resource "aws_service_discovery_http_namespace" "by_name" {
  name = "by-name"
}

data "aws_service_discovery_http_namespace" "shared" {
  name = "shared"
}

resource "aws_service_discovery_private_dns_namespace" "dns" {
  name = "internal.example"
  vpc  = "vpc-1"
}

resource "aws_ecs_task_definition" "t" {
  family                = "t"
  container_definitions = "[]"
}

data "aws_ecs_task_definition" "latest" {
  task_definition = aws_ecs_task_definition.t.family
}

locals {
  services = {
    cluster_id     = { cluster = aws_ecs_cluster.a.id, task = aws_ecs_task_definition.t.arn, namespace = null }
    cluster_name   = { cluster = aws_ecs_cluster.a.name, task = aws_ecs_task_definition.t.family, namespace = null }
    cluster_text   = { cluster = "a", task = aws_ecs_task_definition.t.id, namespace = aws_service_discovery_http_namespace.by_name.id }
    cluster_other  = { cluster = "b", task = aws_ecs_task_definition.t.arn_without_revision, namespace = null }
    cluster_none   = { cluster = null, task = data.aws_ecs_task_definition.latest.arn, namespace = data.aws_service_discovery_http_namespace.shared.arn }
    cluster_data   = { cluster = data.aws_ecs_cluster.d.arn, task = "${aws_ecs_task_definition.t.family}:${max(aws_ecs_task_definition.t.revision, data.aws_ecs_task_definition.latest.revision)}", namespace = "arn:aws:servicediscovery:eu-west-1:111122223333:namespace/ns-1" }
    cluster_missed = { cluster = "a", task = "elsewhere:3", namespace = aws_service_discovery_private_dns_namespace.dns.arn }
  }
}

data "aws_ecs_cluster" "d" {
  cluster_name = "d"
}

resource "aws_ecs_service" "s" {
  for_each        = local.services
  name            = each.key
  cluster         = each.value.cluster
  task_definition = each.value.task

  service_connect_configuration {
    enabled   = true
    namespace = each.value.namespace

    service {
      port_name             = "app"
      ingress_port_override = 0 # not set
    }
  }
}

resource "aws_ecs_service" "daemon" {
  name                = "daemon"
  scheduling_strategy = "DAEMON"
  task_definition     = aws_ecs_task_definition.t.arn

  network_configuration {
    subnets          = ["subnet-1"]
    assign_public_ip = true
  }
}
