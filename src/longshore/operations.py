"""The operations of all APIs: what policies call them, and how often they may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.api.aws.model import ServiceModel
from longshore.api.ecr import api as ecr
from longshore.api.ecr import operations as ecr_operations
from longshore.api.iam import api as iam
from longshore.api.iam import operations as iam_operations
from longshore.api.sts import api as sts
from longshore.api.sts import operations as sts_operations

if TYPE_CHECKING:
    from longshore.setting_tables import LimitSettings

OPERATIONS: Final = {
    ecr.SERVICE: ecr_operations.OPERATIONS,
    iam.SERVICE: iam_operations.OPERATIONS,
    sts.SERVICE: sts_operations.OPERATIONS,
}
"""The table of operations of each service."""


# What is asked of callers, or named by policies of AWS's, beside what operations are called.
_WITHOUT_OPERATION: Final = frozenset(
    {
        *("ecr:BatchImportUpstreamImage", "ecr:ReplicateImage", "iam:PassRole"),
        *("sts:SetSourceIdentity", "sts:TagSession"),
    }
)


def actions(service: str) -> frozenset[str]:
    """Return the IAM actions of a service, such as `ecr`, those that aren't built among them.

    Those of a service that Longshore doesn't answer for aren't known: there are none.
    """
    if service not in OPERATIONS:
        return frozenset()
    return frozenset(
        {
            *(f"{service}:{name}" for name in ServiceModel.load(service).operations),
            *(operation.action for operation in OPERATIONS[service].values()),
            *(action for action in _WITHOUT_OPERATION if action.startswith(f"{service}:")),
        }
    )


def rates(limits: LimitSettings) -> dict[str, float]:
    """Return the rate limits by operation; variables lose the case of their names.

    Raises:
        ValueError: one of them is of no operation.
    """
    # No two services have an operation of the same name.
    names = [name for operations in OPERATIONS.values() for name in operations]
    known = {name.lower(): name for name in names}
    unknown = sorted(name for name in limits.rates if name.lower() not in known)
    if unknown:
        raise ValueError(
            f"limits.rates: there is no operation '{unknown[0]}' to limit. "
            f"Those there are: {', '.join(names)}."
        )
    return {known[name.lower()]: rate for name, rate in limits.rates.items()}
