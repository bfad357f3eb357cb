# What a team does with a role that the platform team has given it.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

variable "role_arn" {
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

  assume_role {
    role_arn     = var.role_arn
    session_name = "terraform"
    duration     = "15m"
    tags         = { Stage = "test" }
  }
}

data "aws_caller_identity" "me" {}

data "aws_iam_session_context" "me" {
  arn = data.aws_caller_identity.me.arn
}

resource "aws_ecr_repository" "own" {
  name = "team/own"
  tags = { By = data.aws_iam_session_context.me.session_name }
}

output "who" {
  value = data.aws_caller_identity.me.arn
}

output "role" {
  value = data.aws_iam_session_context.me.issuer_arn
}
