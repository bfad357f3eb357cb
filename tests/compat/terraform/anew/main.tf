# Policies of resources that name identities, which are then replaced.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true

  endpoints {
    ecr = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }
}

resource "aws_iam_user" "guest" {
  name = "guest"
}

resource "aws_iam_role" "guest" {
  name = "guest"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = aws_iam_user.guest.arn }, Action = "sts:AssumeRole" }]
  })
}

locals {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = [aws_iam_role.guest.arn, aws_iam_user.guest.arn] }
      Action    = "ecr:DescribeImages"
    }]
  })
}

resource "aws_ecr_repository" "shared" {
  name = "shared"
}

resource "aws_ecr_repository_policy" "shared" {
  repository = aws_ecr_repository.shared.name
  policy     = local.policy
}

resource "aws_ecr_registry_policy" "registry" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "create"
      Effect    = "Allow"
      Principal = { AWS = aws_iam_role.guest.arn }
      Action    = "ecr:CreateRepository"
      Resource  = "*"
    }]
  })
}

resource "aws_ecr_repository_creation_template" "guests" {
  prefix            = "guests"
  applied_for       = ["CREATE_ON_PUSH"]
  repository_policy = local.policy
}
