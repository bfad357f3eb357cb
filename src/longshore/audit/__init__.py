"""The audit: one record, in CloudTrail's form, for whatever was asked of the registry."""
