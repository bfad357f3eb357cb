"""Counting requests, at the place where the audit is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.api.http import Request
    from longshore.api.responses import Response
    from longshore.metrics.counts import Counts

REGISTRY_FACE: Final = "registry"
"""The name of the face below `/v2/`; the others have those of their APIs."""


def count(
    counts: Counts,
    face: str,
    operation: str | None,
    request: Request,
    response: Response | None,
    *,
    is_failure: bool = False,
) -> None:
    """Count a request that is about to be answered.

    Args:
        counts: where.
        face: the name of the face or of the API.
        operation: what the request asked for, as far as that is known.
        request: the request.
        response: the answer; None where the server failed or the client went away.
        is_failure: whether, without an answer, it was the server.
    """
    if response is None:
        status, sent = 500 if is_failure else None, 0
    else:
        status, sent = response.status, response.length_to(request)
    counts.request(face, operation, status, request.seconds, received=request.received, sent=sent)
