"""The policy language of IAM: documents, their evaluation and its explanation, without a database.

What is meant by an element, an operator or an evaluation is what the IAM User Guide says ("IAM JSON
policy reference"); where it leaves something open, the reading that allows less is taken.
"""
