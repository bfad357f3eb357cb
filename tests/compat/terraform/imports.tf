# What was made by hand, or by a state that is lost, comes under Terraform by its id.

variable "login_policy" {
  type = string
}

variable "access_key" {
  type = string
}

import {
  to = aws_ecr_repository.app
  id = "team/app"
}

import {
  to = aws_ecr_repository.plain
  id = "plain"
}

import {
  to = aws_ecr_lifecycle_policy.app
  id = "team/app"
}

import {
  to = aws_ecr_repository_policy.app
  id = "team/app"
}

import {
  to = aws_ecr_registry_policy.registry
  id = "${local.account}"
}

import {
  to = aws_ecr_repository_creation_template.team
  id = "team"
}

import {
  to = aws_ecr_account_setting.mounting
  id = "BLOB_MOUNTING"
}

import {
  to = aws_ecr_pull_time_update_exclusion.deployer
  id = "arn:aws:iam::${local.account}:role/run/deployer"
}

import {
  to = aws_iam_user.ci
  id = "ci"
}

import {
  to = aws_iam_access_key.ci
  id = var.access_key
}

import {
  to = aws_iam_user_policy.ci
  id = "ci:assume"
}

import {
  to = aws_iam_user_policy_attachment.ci
  id = "ci/${var.login_policy}"
}

import {
  to = aws_iam_user_policies_exclusive.ci
  id = "ci"
}

import {
  to = aws_iam_user_policy_attachments_exclusive.ci
  id = "ci"
}

import {
  to = aws_iam_user_group_membership.ci
  id = "ci/readers"
}

import {
  to = aws_iam_group.pushers
  id = "publishers"
}

import {
  to = aws_iam_group_policy.pushers
  id = "publishers:login"
}

import {
  to = aws_iam_group_policy_attachment.pushers
  id = "publishers/arn:aws:iam::${local.account}:policy/registry/push"
}

import {
  to = aws_iam_group_policies_exclusive.pushers
  id = "publishers"
}

import {
  to = aws_iam_group_policy_attachments_exclusive.pushers
  id = "publishers"
}

import {
  to = aws_iam_policy.push
  id = "arn:aws:iam::${local.account}:policy/registry/push"
}

import {
  to = aws_iam_role.deployer
  id = "deployer"
}

import {
  to = aws_iam_role_policy.deployer
  id = "deployer:deploy"
}

import {
  to = aws_iam_role_policy_attachment.deployer
  id = "deployer/${var.login_policy}"
}

import {
  to = aws_iam_role_policies_exclusive.deployer
  id = "deployer"
}

import {
  to = aws_iam_role_policy_attachments_exclusive.deployer
  id = "deployer"
}

import {
  to = aws_iam_openid_connect_provider.ci
  id = "arn:aws:iam::${local.account}:oidc-provider/ci.example.com"
}
