resource "aws_ecr_repository" "app" {
  name                 = "team/app"
  image_tag_mutability = var.changed ? "MUTABLE_WITH_EXCLUSION" : "IMMUTABLE"
  force_delete         = true

  image_scanning_configuration {
    scan_on_push = !var.changed
  }

  encryption_configuration {
    encryption_type = "AES256"
  }

  dynamic "image_tag_mutability_exclusion_filter" {
    for_each = var.changed ? ["v*", "release-*"] : []
    content {
      filter      = image_tag_mutability_exclusion_filter.value
      filter_type = "WILDCARD"
    }
  }

  tags = var.changed ? { Env = "prod", Cost = "17" } : { Env = "test", Gone = "" }
}

resource "aws_ecr_repository" "excluded" {
  name                 = "team/excluded"
  image_tag_mutability = var.changed ? "MUTABLE" : "IMMUTABLE_WITH_EXCLUSION"

  dynamic "image_tag_mutability_exclusion_filter" {
    for_each = var.changed ? [] : ["latest*"]
    content {
      filter      = image_tag_mutability_exclusion_filter.value
      filter_type = "WILDCARD"
    }
  }
}

# Nothing but its name.
resource "aws_ecr_repository" "plain" {
  name = "plain"
}

data "aws_ecr_lifecycle_policy_document" "app" {
  rule {
    priority    = 1
    description = "untagged images go after a while"

    selection {
      tag_status   = "untagged"
      count_type   = "sinceImagePushed"
      count_unit   = "days"
      count_number = var.changed ? 7 : 14
    }

    action {
      type = "expire"
    }
  }

  rule {
    priority = 2

    selection {
      tag_status       = "tagged"
      tag_pattern_list = ["prod*", "v*.*"]
      count_type       = "imageCountMoreThan"
      count_number     = 10
    }
  }

  rule {
    priority = 3

    selection {
      tag_status      = "tagged"
      tag_prefix_list = ["dev", "test"]
      count_type      = "sinceImagePushed"
      count_unit      = "days"
      count_number    = 90
    }
  }

  rule {
    priority = 4

    selection {
      tag_status   = "any"
      count_type   = "imageCountMoreThan"
      count_number = 1000
    }
  }
}

resource "aws_ecr_lifecycle_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy     = data.aws_ecr_lifecycle_policy_document.app.json
}

resource "aws_ecr_repository_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy     = data.aws_iam_policy_document.pull.json
}

data "aws_iam_policy_document" "pull" {
  statement {
    sid = "pull"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]

    # In another order than they are made in, and more than one.
    principals {
      type        = "AWS"
      identifiers = concat([aws_iam_role.deployer.arn, aws_iam_user.ci.arn], var.changed ? [local.root] : [])
    }

    condition {
      test     = "StringNotEquals"
      variable = "aws:PrincipalTag/Team"
      values   = ["guests"]
    }
  }
}

resource "aws_ecr_registry_policy" "registry" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "create"
      Effect    = "Allow"
      Principal = { AWS = local.root }
      Action    = var.changed ? ["ecr:CreateRepository", "ecr:TagResource"] : ["ecr:CreateRepository"]
      Resource  = "arn:aws:ecr:us-east-1:${local.account}:repository/*"
    }]
  })
}

resource "aws_ecr_repository_creation_template" "team" {
  prefix               = "team"
  description          = var.changed ? "" : "for what a push creates"
  applied_for          = var.changed ? ["CREATE_ON_PUSH", "REPLICATION"] : ["CREATE_ON_PUSH"]
  image_tag_mutability = var.changed ? "IMMUTABLE_WITH_EXCLUSION" : "IMMUTABLE"
  custom_role_arn      = var.changed ? aws_iam_role.deployer.arn : null
  lifecycle_policy     = data.aws_ecr_lifecycle_policy_document.app.json
  repository_policy    = var.changed ? data.aws_iam_policy_document.pull.json : null
  resource_tags        = var.changed ? { Team = "b" } : { Team = "a", Gone = "" }

  dynamic "image_tag_mutability_exclusion_filter" {
    for_each = var.changed ? ["latest*"] : []
    content {
      filter      = image_tag_mutability_exclusion_filter.value
      filter_type = "WILDCARD"
    }
  }
}

resource "aws_ecr_repository_creation_template" "root" {
  prefix      = "ROOT"
  applied_for = ["PULL_THROUGH_CACHE"]
}

resource "aws_ecr_account_setting" "mounting" {
  name  = "BLOB_MOUNTING"
  value = var.changed ? "DISABLED" : "ENABLED"
}

resource "aws_ecr_account_setting" "scope" {
  name  = "REGISTRY_POLICY_SCOPE"
  value = var.changed ? "V1" : "V2"
}

resource "aws_ecr_account_setting" "scanning" {
  name  = "BASIC_SCAN_TYPE_VERSION"
  value = "AWS_NATIVE"
}

resource "aws_ecr_pull_time_update_exclusion" "deployer" {
  principal_arn = aws_iam_role.deployer.arn
}

data "aws_ecr_authorization_token" "token" {}

ephemeral "aws_ecr_authorization_token" "token" {}

data "aws_ecr_repository" "app" {
  name = aws_ecr_repository.app.name
}

data "aws_ecr_repositories" "all" {
  depends_on = [aws_ecr_repository.app, aws_ecr_repository.excluded, aws_ecr_repository.plain]
}

data "aws_ecr_repository_creation_template" "team" {
  prefix = aws_ecr_repository_creation_template.team.prefix
}

data "aws_ecr_images" "app" {
  count           = var.changed ? 1 : 0
  repository_name = "team/app"
}

data "aws_ecr_image" "latest" {
  count           = var.changed ? 1 : 0
  repository_name = "team/app"
  most_recent     = true
}

data "aws_ecr_image" "tagged" {
  count           = var.changed ? 1 : 0
  repository_name = "team/app"
  image_tag       = "v1"
}

output "repository_url" {
  value = data.aws_ecr_repository.app.repository_url
}

output "repositories" {
  value = data.aws_ecr_repositories.all.names
}

output "images" {
  value = one(data.aws_ecr_images.app[*].image_ids)
}

output "image_uri" {
  value = one(data.aws_ecr_image.tagged[*].image_uri)
}

output "template" {
  value = data.aws_ecr_repository_creation_template.team
}
