resource "aws_alb" "edge" {
  name            = "edge"
  ip_address_type = "dualstack"
  security_groups = ["sg-edge"]

  subnet_mapping {
    subnet_id = "subnet-1"
  }
  subnet_mapping {
    subnet_id = "subnet-2"
  }
}

resource "aws_lb" "default_group" {
  subnets = ["subnet-1"]
}

resource "aws_lb" "network" {
  load_balancer_type = "network"
  subnets            = ["subnet-1"]
}

resource "aws_alb_listener" "http" {
  load_balancer_arn = aws_alb.edge.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_alb.edge.id
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.main.arn

  default_action {
    order = 2
    type  = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.plain.arn
        weight = 90
      }
      target_group {
        arn    = aws_lb_target_group.tuned.arn
        weight = 10
      }
    }
  }

  default_action {
    order = 1
    type  = "authenticate-oidc"
  }
}

resource "aws_acm_certificate" "main" {
  domain_name = "example.org"
}

resource "aws_lb_listener_certificate" "extra" {
  listener_arn    = aws_lb_listener.https.arn
  certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
}

# Without a health_check block the API's thresholds hold, with one the provider's.
resource "aws_lb_target_group" "plain" {
  name = "plain"
  port = 80
}

resource "aws_lb_target_group" "tuned" {
  name                          = "tuned"
  port                          = 8080
  protocol                      = "HTTP"
  protocol_version              = "HTTP2"
  target_type                   = "ip"
  slow_start                    = 30
  load_balancing_algorithm_type = "least_outstanding_requests"

  stickiness {
    type            = "lb_cookie"
    cookie_duration = 60
  }

  target_group_health {
    unhealthy_state_routing {
      minimum_healthy_targets_count = 2
    }
  }

  health_check {
    enabled  = true
    port     = 8081
    protocol = "HTTP"
    timeout  = 2
  }
}

resource "aws_lb_target_group_attachment" "address" {
  target_group_arn = aws_lb_target_group.tuned.arn
  target_id        = "10.0.0.7"
  port             = 9000
}

resource "aws_lb_target_group_attachment" "instance" {
  target_group_arn = aws_lb_target_group.plain.id
  target_id        = "i-0123456789abcdef0"
}

resource "aws_lb_target_group_attachment" "lost" {
  target_group_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/x/1"
  target_id        = "10.0.0.8"
}

resource "aws_lb_listener_rule" "many" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 20

  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "no"
      status_code  = "404"
    }
  }

  condition {
    host_header {
      values = ["a.example.org", "b.*"]
    }
  }
  condition {
    http_header {
      http_header_name = "X-Arm"
      values           = ["agent"]
    }
  }
  condition {
    http_request_method {
      values = ["GET"]
    }
  }
  condition {
    source_ip {
      values = ["10.0.0.0/8"]
    }
  }
  condition {
    query_string {
      key   = "arm"
      value = "bypass"
    }
    query_string {
      value = "x"
    }
  }
}

resource "aws_alb_listener_rule" "older" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.plain.arn
  }

  condition {
    field  = "path-pattern"
    values = ["/api/*"]
  }
}

resource "aws_lb_listener_rule" "regex" {
  listener_arn = aws_lb_listener.https.arn

  action {
    type = "forward"
  }

  condition {
    path_pattern {
      regex_values = ["^/v[0-9]+/"]
    }
  }
}

resource "aws_lb_listener_rule" "stray" {
  listener_arn = data.aws_lb_listener.shared.arn
  priority     = 1

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.plain.arn
  }

  condition {
    path_pattern {
      values = ["/x"]
    }
  }
}

data "aws_lb_listener" "shared" {
  load_balancer_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/y/1"
  port              = 80
}
