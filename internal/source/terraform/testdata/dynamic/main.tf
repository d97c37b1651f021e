locals {
  ports = { http = 80, https = 443 }
  cidrs = ["10.0.0.0/8", "192.168.0.0/16"]
}

resource "aws_security_group" "blocks" {
  dynamic "ingress" {
    for_each = local.ports
    content {
      description = ingress.key
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = local.cidrs
    }
  }

  dynamic "egress" {
    for_each = toset(["tcp", "udp"])
    iterator = it
    content {
      from_port   = 0
      to_port     = 65535
      protocol    = it.value
      cidr_blocks = ["0.0.0.0/0"]
    }
  }
}

# The attribute form, which also empties a direction.
resource "aws_security_group" "attributes" {
  ingress = [for name, port in local.ports : {
    description      = name
    from_port        = port
    to_port          = port
    protocol         = "6"
    cidr_blocks      = []
    ipv6_cidr_blocks = ["fd00::/8"]
    prefix_list_ids  = []
    security_groups  = [aws_security_group.blocks.id]
    self             = true
  }]
  egress = []
}

resource "aws_lb_listener_rule" "nested" {
  listener_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/x/1/2"

  action {
    type = "forward"

    dynamic "forward" {
      for_each = [{ a = 80, b = 20 }]
      content {
        dynamic "target_group" {
          for_each = forward.value
          content {
            arn    = aws_lb_target_group.weighted[target_group.key].arn
            weight = target_group.value
          }
        }
      }
    }
  }

  condition {
    path_pattern {
      values = ["/*"]
    }
  }
}

resource "aws_lb_target_group" "weighted" {
  for_each = toset(["a", "b"])
  name     = "weighted-${each.value}"
}
