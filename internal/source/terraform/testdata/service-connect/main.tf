# The experiment of the second article in Terraform: a server with an ingress
# port override behind an internal load balancer, and a client-only service.

variable "ingress_port_override" {
  type    = number
  default = 8080
}

locals {
  name = "sc"
  azs  = ["a", "b"]
  port = 80
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "public" {
  count             = length(local.azs)
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  availability_zone = "eu-west-1${local.azs[count.index]}"
}

resource "aws_subnet" "private" {
  for_each          = { for i, az in local.azs : az => i + 10 }
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, each.value)
  availability_zone = "eu-west-1${each.key}"
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  count          = length(local.azs)
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}

resource "aws_nat_gateway" "main" {
  subnet_id = aws_subnet.public[0].id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_service_discovery_http_namespace" "this" {
  name = "sample-namespace"
}

resource "aws_cloudwatch_log_group" "connect" {
  name = "/${local.name}/connect"
}

resource "aws_ecs_cluster" "this" {
  name = local.name

  service_connect_defaults {
    namespace = aws_service_discovery_http_namespace.this.arn
  }
}

resource "aws_security_group" "alb" {
  name   = "${local.name}-alb"
  vpc_id = aws_vpc.main.id

  ingress {
    from_port   = local.port
    to_port     = local.port
    protocol    = "tcp"
    cidr_blocks = [aws_vpc.main.cidr_block]
  }
}

resource "aws_security_group" "server" {
  name   = "${local.name}-server"
  vpc_id = aws_vpc.main.id
}

resource "aws_security_group" "client" {
  name   = "${local.name}-client"
  vpc_id = aws_vpc.main.id

  egress {
    from_port        = 0
    to_port          = 0
    protocol         = "-1"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

resource "aws_security_group_rule" "alb_out" {
  type                     = "egress"
  security_group_id        = aws_security_group.alb.id
  source_security_group_id = aws_security_group.server.id
  from_port                = local.port
  to_port                  = local.port
  protocol                 = "tcp"
}

resource "aws_security_group_rule" "server_in" {
  for_each = {
    alb    = { group = aws_security_group.alb.id, port = local.port }
    client = { group = aws_security_group.client.id, port = coalesce(var.ingress_port_override, local.port) }
  }

  type                     = "ingress"
  security_group_id        = aws_security_group.server.id
  source_security_group_id = each.value.group
  from_port                = each.value.port
  to_port                  = each.value.port
  protocol                 = "tcp"
  description              = "from ${each.key}"
}

resource "aws_lb" "this" {
  name                       = local.name
  internal                   = true
  security_groups            = [aws_security_group.alb.id]
  subnets                    = values(aws_subnet.private)[*].id
  idle_timeout               = 30
  drop_invalid_header_fields = true
}

resource "aws_lb_target_group" "server" {
  name                 = "${local.name}-server"
  port                 = local.port
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.main.id
  deregistration_delay = 90

  health_check {
    path = "/healthz"
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = "80"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.server.arn
  }
}

resource "aws_ecs_task_definition" "server" {
  family                   = "${local.name}-server"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 512
  memory                   = "1 GB"
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  container_definitions = jsonencode([
    {
      name      = "app"
      image     = "${aws_ecr_repository.app.repository_url}:latest"
      essential = true
      portMappings = [
        { name = "app", containerPort = local.port, protocol = "tcp", appProtocol = "http" }
      ]
      environment = [
        { name = "PORT", value = tostring(local.port) },
        { name = "LOG_GROUP", value = aws_cloudwatch_log_group.connect.name },
        { name = "LB", value = aws_lb.this.dns_name },
      ]
      healthCheck = {
        command  = ["CMD-SHELL", "curl -f localhost || exit 1"]
        interval = 10
        retries  = 3
      }
      dependsOn = [{ containerName = "helper", condition = "HEALTHY" }]
    },
    { name = "helper", image = "busybox", essential = false, memoryReservation = 32 },
  ])
}

resource "aws_ecr_repository" "app" {
  name = "app"
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  assume_role_policy = "{}"
}

resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  assume_role_policy = "{}"
}

resource "aws_iam_role_policy" "exec" {
  role   = aws_iam_role.task.name
  policy = data.aws_iam_policy_document.exec.json
}

data "aws_iam_policy_document" "exec" {
  statement {
    actions = [
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_ecs_service" "server" {
  name                              = "${local.name}-server"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.server.arn
  desired_count                     = 1
  launch_type                       = "FARGATE"
  health_check_grace_period_seconds = 240
  enable_execute_command            = true

  network_configuration {
    subnets          = [for s in aws_subnet.private : s.id]
    security_groups  = [aws_security_group.server.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.server.arn
    container_name   = "app"
    container_port   = local.port
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  deployment_controller {
    type = "ECS"
  }

  service_connect_configuration {
    enabled = true

    log_configuration {
      log_driver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.connect.name
        awslogs-region        = "eu-west-1"
        awslogs-stream-prefix = "connect"
      }
    }

    service {
      port_name             = "app"
      ingress_port_override = var.ingress_port_override

      client_alias {
        port     = 80
        dns_name = "app.sample-namespace"
      }

      timeout {
        per_request_timeout_seconds = 20
      }
    }
  }
}

resource "aws_ecs_service" "client" {
  name            = "${local.name}-client"
  cluster         = aws_ecs_cluster.this.arn
  task_definition = "${aws_ecs_task_definition.client.family}:${aws_ecs_task_definition.client.revision}"
  desired_count   = 1
  launch_type     = "FARGATE"

  network_configuration {
    subnets         = [for s in aws_subnet.private : s.id]
    security_groups = [aws_security_group.client.id]
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_http_namespace.this.name
  }

  depends_on = [aws_ecs_service.server]
}

resource "aws_ecs_task_definition" "client" {
  family                = "${local.name}-client"
  network_mode          = "awsvpc"
  cpu                   = 512
  memory                = 1024
  container_definitions = <<-JSON
    [
      {
        "name": "client",
        "image": "curlimages/curl:8.11.0",
        "command": ["sleep", "infinity"]
      }
    ]
  JSON
}
