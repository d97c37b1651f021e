# =============================================================================
# ALB ヘルスチェック検証用 Terraform(単一ファイル版)
# 検証手順:
#   1. enable_alb_egress = false で apply → ヘルスチェック失敗を確認
#   2. enable_alb_egress = true  で apply → ヘルスチェック成功を確認
# =============================================================================

terraform {
  required_version = ">= 1.0.0"
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
}

provider "aws" {
  region  = "ap-northeast-1"
  profile = "your-aws-profile" # 自分のプロファイルに変更
}

locals {
  name = "alb-hc-test"
}

variable "enable_alb_egress" {
  type    = bool
  default = false  # まず失敗を確認、その後 true にして成功を確認
}

# -----------------------------------------------------------------------------
# Data Sources(Default VPC を使用)
# -----------------------------------------------------------------------------
data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_ami" "al2023" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-*-x86_64"]
  }
}

# -----------------------------------------------------------------------------
# Security Groups
# -----------------------------------------------------------------------------

# ALB用 SG
resource "aws_security_group" "alb" {
  name        = "${local.name}-alb-sg"
  description = "Security group for ALB"
  vpc_id      = data.aws_vpc.default.id

  ingress {
    description = "HTTP from internet"
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group_rule" "alb_egress_to_ec2" {
  count = var.enable_alb_egress ? 1 : 0

  type                     = "egress"
  from_port                = 80
  to_port                  = 80
  protocol                 = "tcp"
  security_group_id        = aws_security_group.alb.id
  source_security_group_id = aws_security_group.ec2.id
  description              = "Allow HTTP to EC2 instances"
}

# EC2用 SG
resource "aws_security_group" "ec2" {
  name        = "${local.name}-ec2-sg"
  description = "Security group for EC2 instances"
  vpc_id      = data.aws_vpc.default.id

  ingress {
    description     = "HTTP from ALB"
    from_port       = 80
    to_port         = 80
    protocol        = "tcp"
    security_groups = [aws_security_group.alb.id]
  }
  egress {
    description = "All outbound traffic"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

# -----------------------------------------------------------------------------
# IAM Role(SSM接続用)
# -----------------------------------------------------------------------------
resource "aws_iam_role" "ec2" {
  name = "${local.name}-ec2-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "ec2_ssm" {
  role       = aws_iam_role.ec2.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "ec2" {
  name = "${local.name}-ec2-profile"
  role = aws_iam_role.ec2.name
}

# -----------------------------------------------------------------------------
# EC2(Nginx)
# -----------------------------------------------------------------------------
resource "aws_instance" "nginx" {
  ami                         = data.aws_ami.al2023.id
  instance_type               = "t3.micro"
  subnet_id                   = tolist(data.aws_subnets.default.ids)[0]
  vpc_security_group_ids      = [aws_security_group.ec2.id]
  iam_instance_profile        = aws_iam_instance_profile.ec2.name
  associate_public_ip_address = true

  user_data = <<-EOF
#!/bin/bash
dnf install -y nginx

# JSON形式のログフォーマットを追加
cat > /tmp/log_format.conf << 'LOGFMT'
    log_format json escape=json '{"time": "$time_iso8601", "msec": "$msec", "remote_addr": "$remote_addr", "server_addr": "$server_addr", "server_port": "$server_port", "x_forwarded_for": "$http_x_forwarded_for", "x_forwarded_port": "$http_x_forwarded_port", "x_forwarded_proto": "$http_x_forwarded_proto", "host": "$host", "request": "$request", "request_method": "$request_method", "request_uri": "$request_uri", "status": $status, "request_length": $request_length, "body_bytes_sent": $body_bytes_sent, "bytes_sent": $bytes_sent, "request_time": $request_time, "user_agent": "$http_user_agent", "http_connection": "$http_connection", "http_accept": "$http_accept", "connection": "$connection", "connection_requests": "$connection_requests", "tcpinfo_rtt": "$tcpinfo_rtt", "tcpinfo_rttvar": "$tcpinfo_rttvar"}';
LOGFMT
sed -i '/http {/r /tmp/log_format.conf' /etc/nginx/nginx.conf

cat > /etc/nginx/conf.d/default.conf << 'CONF'
server {
    listen 80;
    access_log /var/log/nginx/access.log json;
    location / { return 200 'OK'; }
}
CONF
systemctl enable --now nginx
EOF

  tags = { Name = "${local.name}-nginx" }
}

# -----------------------------------------------------------------------------
# ALB + Target Group
# -----------------------------------------------------------------------------
resource "aws_lb" "main" {
  name               = "${local.name}-alb"
  load_balancer_type = "application"
  security_groups    = [aws_security_group.alb.id]
  subnets            = slice(tolist(data.aws_subnets.default.ids), 0, 2)
}

resource "aws_lb_target_group" "main" {
  name     = "${local.name}-tg"
  port     = 80
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.default.id

  health_check {
    path                = "/"
    matcher             = "200"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "main" {
  target_group_arn = aws_lb_target_group.main.arn
  target_id        = aws_instance.nginx.id
  port             = 80
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.main.arn
  }
}
