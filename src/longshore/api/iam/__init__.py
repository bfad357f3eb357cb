"""The API of IAM: users, groups, roles, keys and policies, as `aws iam` and Terraform know them."""
