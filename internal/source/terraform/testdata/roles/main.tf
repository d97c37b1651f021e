data "aws_partition" "current" {}

data "aws_iam_policy_document" "task" {
  statement {
    actions   = ["s3:*"]
    resources = ["*"]
  }
  statement {
    effect    = "Deny"
    actions   = ["s3:DeleteObject"]
    resources = ["*"]
  }
  statement {
    not_actions = ["iam:*"]
    resources   = [aws_s3_bucket.data.arn, "${aws_s3_bucket.data.arn}/*"]
  }
}

resource "aws_s3_bucket" "data" {}

resource "aws_iam_role" "task" {
  name               = "task"
  assume_role_policy = "{}"
  managed_policy_arns = [
    "arn:aws:iam::aws:policy/AmazonS3FullAccess",
    aws_iam_policy.own.arn,
  ]

  inline_policy {
    name = "inline"
    policy = jsonencode({
      Version = "2012-10-17"
      Statement = {
        Effect   = "Allow"
        Action   = "logs:*"
        Resource = aws_s3_bucket.data.arn
      }
    })
  }
}

resource "aws_iam_role_policy" "document" {
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

resource "aws_iam_policy" "own" {
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:*:*:q"] }] })
}

resource "aws_iam_role" "execution" {
  assume_role_policy = "{}"
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_policy_attachment" "both" {
  name       = "both"
  roles      = [aws_iam_role.task.name, aws_iam_role.execution.name, "elsewhere"]
  policy_arn = "arn:aws:iam::111122223333:policy/house"
}

resource "aws_iam_role_policy" "open" {
  role   = "task"
  policy = aws_s3_bucket.data.policy
}
