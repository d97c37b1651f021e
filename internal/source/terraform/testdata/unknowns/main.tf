# Everything here depends on what only AWS can tell.

variable "extra_group" {
  type = string
}

data "aws_subnets" "all" {}

data "aws_availability_zones" "available" {}

data "aws_ssm_parameter" "flag" {
  name = "/flag"
}

resource "aws_security_group" "known" {
  name = "known"
}

resource "aws_security_group" "maybe" {
  count = data.aws_ssm_parameter.flag.value == "on" ? 1 : 0
  name  = "maybe"
}

resource "aws_security_group_rule" "per_subnet" {
  for_each          = toset(data.aws_subnets.all.ids)
  type              = "ingress"
  security_group_id = aws_security_group.known.id
  cidr_blocks       = ["10.0.0.0/8"]
  from_port         = 80
  to_port           = 80
  protocol          = "tcp"
  description       = each.value
}

resource "aws_security_group_rule" "where" {
  type              = data.aws_ssm_parameter.flag.value
  security_group_id = data.aws_ssm_parameter.flag.value
  cidr_blocks       = split(",", data.aws_ssm_parameter.flag.value)
  from_port         = data.aws_ssm_parameter.flag.value
  to_port           = 80
  protocol          = "tcp"
}

resource "aws_security_group" "open_blocks" {
  dynamic "ingress" {
    for_each = data.aws_subnets.all.ids
    content {
      from_port   = 80
      to_port     = 80
      protocol    = "tcp"
      cidr_blocks = ["10.0.0.0/8"]
    }
  }
}

resource "aws_lb" "this" {
  internal        = data.aws_ssm_parameter.flag.value
  security_groups = [aws_security_group.known.id, var.extra_group]
  subnets         = slice(data.aws_subnets.all.ids, 0, 2)
}

resource "aws_lb_target_group" "this" {
  port = tonumber(data.aws_ssm_parameter.flag.value)

  health_check {
    path     = "/${data.aws_ssm_parameter.flag.value}"
    interval = "soon"
  }
}

resource "aws_instance" "this" {
  subnet_id              = tolist(data.aws_subnets.all.ids)[0]
  vpc_security_group_ids = concat([aws_security_group.known.id], aws_security_group.maybe[*].id)
  user_data              = "echo ${aws_lb.this.dns_name}"
}

resource "aws_lb_target_group_attachment" "by_address" {
  target_group_arn = aws_lb_target_group.this.arn
  target_id        = aws_instance.this.private_ip
}

resource "aws_ecs_service" "this" {
  name            = "this"
  cluster         = data.aws_ssm_parameter.flag.value
  task_definition = data.aws_ssm_parameter.flag.value

  dynamic "service_connect_configuration" {
    for_each = data.aws_subnets.all.ids
    content {
      enabled = true
    }
  }
}

resource "aws_ecs_task_definition" "opaque" {
  family                = "opaque"
  container_definitions = data.aws_ssm_parameter.flag.value
}

module "registry" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "~> 5.0"
}

resource "aws_subnet" "in_module" {
  vpc_id            = module.registry.vpc_id
  availability_zone = data.aws_availability_zones.available.names[0]
}
