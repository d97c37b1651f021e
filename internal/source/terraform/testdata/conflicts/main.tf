# Inline rules and separate rules of one direction, of which Terraform keeps
# only the inline ones for certain.

# hoplab:suppress access-log-missing: this configuration is a test

resource "aws_security_group" "both" {
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group_rule" "revoked" {
  type              = "egress"
  security_group_id = aws_security_group.both.id
  self              = true
  from_port         = 1
  to_port           = 2
  protocol          = "tcp"
}

resource "aws_security_group_rule" "kept" {
  type              = "ingress"
  security_group_id = aws_security_group.both.id
  self              = true
  prefix_list_ids   = ["pl-1"]
  from_port         = 1
  to_port           = 2
  protocol          = "all"
}

resource "aws_security_group" "emptied" {
  # hoplab:suppress open-ingress: nothing gets in
  ingress = []
}

resource "aws_vpc_security_group_ingress_rule" "revoked" {
  security_group_id = aws_security_group.emptied.id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "-1"
}

resource "aws_default_security_group" "default" {
  vpc_id = aws_default_vpc.default.id
}

resource "aws_default_vpc" "default" {}

resource "aws_default_subnet" "a" {
  availability_zone = "eu-west-1a"
}

resource "aws_vpc_security_group_egress_rule" "revoked" {
  security_group_id = aws_default_security_group.default.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_security_group" "peerless" {
  ingress {
    from_port = 80
    to_port   = 80
    protocol  = "tcp"
  }
}
