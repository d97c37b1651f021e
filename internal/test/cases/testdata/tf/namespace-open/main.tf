variable "image" { type = string }
variable "env" { type = string }
variable "namespaces" { type = list(string) }

resource "aws_ecs_task_definition" "server" {
  family                   = "server"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  container_definitions    = jsonencode([{ name = "server", image = var.image, portMappings = [{ name = "http", containerPort = 3000, appProtocol = "http" }] }])
}

resource "aws_ecs_service" "server" {
  name            = "server"
  cluster         = aws_ecs_cluster.this.name
  task_definition = aws_ecs_task_definition.server.arn
  desired_count   = 1
  launch_type     = "FARGATE"
  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.server.id]
  }
  service_connect_configuration {
    enabled   = true
    service {
      port_name = "http"
      client_alias {
        port     = 80
        dns_name = "server"
      }
    }
  }
}

resource "aws_service_discovery_http_namespace" "this" { name = "shop" }
resource "aws_ecs_cluster" "this" {
  name = "${var.env}-shop"
  dynamic "service_connect_defaults" {
    for_each = var.namespaces
    content {
      namespace = service_connect_defaults.value
    }
  }
}

resource "aws_security_group" "client" {
  name   = "client"
  vpc_id = aws_vpc.main.id
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "server" {
  name   = "server"
  vpc_id = aws_vpc.main.id
  ingress {
    protocol        = "tcp"
    from_port       = 80
    to_port         = 80
    security_groups = [aws_security_group.client.id]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_task_definition" "client" {
  family                   = "client"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  container_definitions = jsonencode([{
    name        = "client"
    image       = "example/client"
    environment = [{ name = "SERVER_URL", value = "http://server:80" }]
  }])
}

resource "aws_ecs_service" "client" {
  name            = "client"
  cluster         = aws_ecs_cluster.this.name
  task_definition = aws_ecs_task_definition.client.arn
  desired_count   = 1
  launch_type     = "FARGATE"
  depends_on      = [aws_ecs_service.server]
  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.client.id]
  }
  service_connect_configuration {
    enabled   = true
  }
}

resource "aws_vpc" "main" {
  cidr_block = "10.20.0.0/16"
}

resource "aws_subnet" "private" {
  count      = 2
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index + 10)
}

resource "aws_subnet" "public" {
  count      = 2
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
}
