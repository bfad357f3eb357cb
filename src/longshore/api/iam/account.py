"""IAM operations on the account as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import summaries

if TYPE_CHECKING:
    from longshore.api.aws.calls import Call, Output


def get_account_summary(call: Call, _request: object) -> Output:
    """GetAccountSummary."""
    return {"SummaryMap": summaries.of_account(call.context, call.caller.account)}
