resource "aws_security_group" "web" {
  name = "web"
}

resource "aws_security_group" "app" {
  name_prefix = "app-"
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = toset(["0.0.0.0/0", "10.0.0.0/8"])
  security_group_id = aws_security_group.web.id
  cidr_ipv4         = each.value
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "v6" {
  security_group_id = aws_security_group.web.id
  cidr_ipv6         = "::/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "TCP"
}

resource "aws_vpc_security_group_egress_rule" "web_to_app" {
  security_group_id            = aws_security_group.web.id
  referenced_security_group_id = aws_security_group.app.id
  from_port                    = 8080
  to_port                      = 8090
  ip_protocol                  = "tcp"
  description                  = "app ports"
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.app.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.app.id
  prefix_list_id    = data.aws_prefix_list.s3.id
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "ping" {
  security_group_id = aws_security_group.app.id
  cidr_ipv4         = "10.0.0.0/8"
  from_port         = 8
  to_port           = -1
  ip_protocol       = "icmp"
}

resource "aws_vpc_security_group_ingress_rule" "no_ports" {
  security_group_id = aws_security_group.app.id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "elsewhere" {
  security_group_id            = data.aws_security_group.shared.id
  referenced_security_group_id = "sg-0123456789abcdef0"
  from_port                    = 53
  to_port                      = 53
  ip_protocol                  = "udp"
}

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.eu-west-1.s3"
}

data "aws_security_group" "shared" {
  name = "shared"
}
