resource "aws_iam_user" "ci" {
  name                 = "ci"
  path                 = var.changed ? "/" : "/build/"
  permissions_boundary = var.changed ? null : aws_iam_policy.limit.arn
  tags                 = var.changed ? { Team = "build" } : { Team = "test", Gone = "" }
}

resource "aws_iam_user" "renamed" {
  name                 = var.changed ? "annotator" : "scanner"
  force_destroy        = true
  permissions_boundary = var.changed ? aws_iam_policy.limit.arn : null
}

resource "aws_iam_access_key" "ci" {
  user = aws_iam_user.ci.name
}

resource "aws_iam_access_key" "spare" {
  user   = aws_iam_user.ci.name
  status = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_user_policy" "ci" {
  user = aws_iam_user.ci.name
  name = "assume"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = var.changed ? ["sts:AssumeRole"] : ["sts:AssumeRole", "sts:GetCallerIdentity"]
      Resource = "*"
    }]
  })
}

resource "aws_iam_user_policy_attachment" "ci" {
  user       = aws_iam_user.ci.name
  policy_arn = aws_iam_policy.login.arn
}

resource "aws_iam_user_policies_exclusive" "ci" {
  user_name    = aws_iam_user.ci.name
  policy_names = [aws_iam_user_policy.ci.name]
}

resource "aws_iam_user_policy_attachments_exclusive" "ci" {
  user_name   = aws_iam_user.ci.name
  policy_arns = [aws_iam_user_policy_attachment.ci.policy_arn]
}

resource "aws_iam_group" "pushers" {
  name = var.changed ? "publishers" : "pushers"
  path = var.changed ? "/teams/" : "/"
}

resource "aws_iam_group" "readers" {
  name = "readers"
}

resource "aws_iam_user_group_membership" "ci" {
  user   = aws_iam_user.ci.name
  groups = var.changed ? [aws_iam_group.readers.name] : [aws_iam_group.pushers.name, aws_iam_group.readers.name]
}

resource "aws_iam_group_membership" "pushers" {
  name  = "pushers"
  group = aws_iam_group.pushers.name
  users = var.changed ? [aws_iam_user.renamed.name] : [aws_iam_user.ci.name, aws_iam_user.renamed.name]
}

resource "aws_iam_group_policy" "pushers" {
  name   = "login"
  group  = aws_iam_group.pushers.name
  policy = data.aws_iam_policy_document.login.json
}

resource "aws_iam_group_policy_attachment" "pushers" {
  group      = aws_iam_group.pushers.name
  policy_arn = aws_iam_policy.push.arn
}

resource "aws_iam_group_policies_exclusive" "pushers" {
  group_name   = aws_iam_group.pushers.name
  policy_names = [aws_iam_group_policy.pushers.name]
}

resource "aws_iam_group_policy_attachments_exclusive" "pushers" {
  group_name  = aws_iam_group.pushers.name
  policy_arns = [aws_iam_group_policy_attachment.pushers.policy_arn]
}

data "aws_iam_policy_document" "login" {
  statement {
    actions   = var.changed ? ["ecr:GetAuthorizationToken"] : ["ecr:GetAuthorizationToken", "sts:GetCallerIdentity"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "push" {
  source_policy_documents = [data.aws_iam_policy_document.login.json]

  statement {
    sid       = "push"
    actions   = ["ecr:*"]
    resources = [aws_ecr_repository.app.arn, "${aws_ecr_repository.app.arn}/*"]
  }

  statement {
    sid         = "keep"
    effect      = "Deny"
    not_actions = var.changed ? ["ecr:*", "iam:*", "sts:*"] : ["ecr:*"]
    resources   = ["*"]
  }
}

resource "aws_iam_policy" "push" {
  name        = "push"
  path        = "/registry/"
  description = "may push"
  policy      = data.aws_iam_policy_document.push.json
  tags        = var.changed ? { Team = "build" } : { Team = "test", Gone = "" }
}

resource "aws_iam_policy" "login" {
  name_prefix = "login-"
  policy      = data.aws_iam_policy_document.login.json
}

resource "aws_iam_policy" "limit" {
  name   = "limit"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["ecr:*", "sts:*"], Resource = "*" }] })
}

resource "aws_iam_policy" "shared" {
  name   = "shared"
  policy = data.aws_iam_policy_document.login.json
}

resource "aws_iam_policy_attachment" "shared" {
  name       = "shared"
  policy_arn = aws_iam_policy.shared.arn
  users      = [aws_iam_user.renamed.name]
  groups     = var.changed ? [] : [aws_iam_group.readers.name]
  roles      = var.changed ? [aws_iam_role.auditor.name] : []
}

resource "aws_iam_role" "deployer" {
  name                 = "deployer"
  path                 = "/run/"
  description          = var.changed ? "" : "deploys"
  max_session_duration = var.changed ? 3600 : 7200
  permissions_boundary = var.changed ? null : aws_iam_policy.limit.arn
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  tags                 = var.changed ? { Team = "run" } : { Team = "test", Gone = "" }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = var.changed ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.ci.arn]
    }
  }

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.ci.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "ci.example.com:aud"
      values   = ["longshore"]
    }
  }
}

resource "aws_iam_role_policy" "deployer" {
  name   = "deploy"
  role   = aws_iam_role.deployer.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = var.changed ? ["ecr:*", "iam:Get*", "iam:List*"] : ["ecr:*"], Resource = "*" }] })
}

resource "aws_iam_role_policy_attachment" "deployer" {
  role       = aws_iam_role.deployer.name
  policy_arn = aws_iam_policy.login.arn
}

resource "aws_iam_role_policies_exclusive" "deployer" {
  role_name    = aws_iam_role.deployer.name
  policy_names = [aws_iam_role_policy.deployer.name]
}

resource "aws_iam_role_policy_attachments_exclusive" "deployer" {
  role_name   = aws_iam_role.deployer.name
  policy_arns = [aws_iam_role_policy_attachment.deployer.policy_arn]
}

# As it was written before the provider had resources for it.
resource "aws_iam_role" "auditor" {
  name_prefix           = "auditor-"
  force_detach_policies = true
  assume_role_policy    = jsonencode({ Version = "2012-10-17", Statement = { Effect = "Allow", Principal = { AWS = local.account }, Action = "sts:AssumeRole" } })

  inline_policy {
    name   = "read"
    policy = data.aws_iam_policy_document.login.json
  }
}

resource "aws_iam_openid_connect_provider" "ci" {
  url             = "https://ci.example.com"
  client_id_list  = var.changed ? ["longshore", "other"] : ["longshore", "gone"]
  thumbprint_list = var.changed ? ["0e99a48a9960b14926bb7f3b02e22da2b0ab7280"] : ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = var.changed ? { Team = "run" } : { Team = "test", Gone = "" }
}

data "aws_iam_user" "ci" {
  user_name = aws_iam_user.ci.name
}

data "aws_iam_users" "all" {
  name_regex = "^(ci|scanner|annotator)$"
  depends_on = [aws_iam_user.ci, aws_iam_user.renamed]
}

data "aws_iam_access_keys" "ci" {
  user       = aws_iam_user.ci.name
  depends_on = [aws_iam_access_key.ci, aws_iam_access_key.spare]
}

data "aws_iam_group" "pushers" {
  group_name = aws_iam_group.pushers.name
  depends_on = [aws_iam_group_membership.pushers]
}

data "aws_iam_role" "deployer" {
  name = aws_iam_role.deployer.name
}

data "aws_iam_roles" "run" {
  path_prefix = "/run/"
  depends_on  = [aws_iam_role.deployer]
}

data "aws_iam_role_policies" "deployer" {
  role_name  = aws_iam_role.deployer.name
  depends_on = [aws_iam_role_policy.deployer]
}

data "aws_iam_role_policy_attachments" "deployer" {
  role_name  = aws_iam_role.deployer.name
  depends_on = [aws_iam_role_policy_attachment.deployer]
}

data "aws_iam_instance_profiles" "deployer" {
  role_name = aws_iam_role.deployer.name
}

data "aws_iam_policy" "by_arn" {
  arn = aws_iam_policy.push.arn
}

data "aws_iam_policy" "by_name" {
  name        = aws_iam_policy.push.name
  path_prefix = "/registry/"
}

data "aws_iam_policy" "administrator" {
  arn = "arn:aws:iam::aws:policy/AdministratorAccess"
}

data "aws_iam_openid_connect_provider" "by_arn" {
  arn = aws_iam_openid_connect_provider.ci.arn
}

data "aws_iam_openid_connect_provider" "by_url" {
  url        = "https://ci.example.com"
  depends_on = [aws_iam_openid_connect_provider.ci]
}

data "aws_iam_session_context" "me" {
  arn = data.aws_caller_identity.me.arn
}

data "aws_iam_principal_policy_simulation" "deployer" {
  policy_source_arn = aws_iam_role.deployer.arn
  action_names      = ["ecr:PutImage", "ecr:BatchGetImage"]
  resource_arns     = [aws_ecr_repository.app.arn]
  depends_on        = [aws_iam_role_policy.deployer]
}

output "key_id" {
  value = aws_iam_access_key.ci.id
}

output "secret" {
  value     = aws_iam_access_key.ci.secret
  sensitive = true
}

output "login_policy" {
  value = aws_iam_policy.login.arn
}

output "role_arn" {
  value = aws_iam_role.deployer.arn
}

output "users" {
  value = sort(data.aws_iam_users.all.names)
}

output "members" {
  value = sort(data.aws_iam_group.pushers.users[*].user_name)
}

output "may_deploy" {
  value = data.aws_iam_principal_policy_simulation.deployer.all_allowed
}
