variable "internal" {
  type    = bool
  default = false
}

locals {
  name = "from main"
}

resource "aws_lb" "this" {
  name     = local.name
  internal = var.internal
  subnets  = ["subnet-1"]

  access_logs {
    bucket  = "logs"
    enabled = true
  }
}

resource "aws_security_group" "this" {
  ingress {
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
