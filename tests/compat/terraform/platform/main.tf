# What a platform team keeps of a registry: who may do what, and how its repositories are.
# With changed=true every attribute that can be changed in place is, and the images are read.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

variable "changed" {
  type    = bool
  default = false
}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true

  endpoints {
    ecr = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }

  default_tags {
    tags = { Owner = var.changed ? "platform" : "everybody" }
  }
}

data "aws_caller_identity" "me" {}

locals {
  account = data.aws_caller_identity.me.account_id
  root    = "arn:aws:iam::${local.account}:root"
}
