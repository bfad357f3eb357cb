"""Download URLs: a layer's bytes for whoever has its ticket (GetDownloadUrlForLayer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.api import auditing, measuring
from longshore.api.ecr.layers import DOWNLOAD_OPERATION, DOWNLOAD_PATH
from longshore.api.oci.blobs import serve
from longshore.api.responses import text_response
from longshore.audit.records import ANONYMOUS, ApiCall
from longshore.errors import (
    AccessDenied,
    LayerArchived,
    LayersNotFound,
    RegistryError,
    RepositoryNotFound,
)
from longshore.registry import downloads

if TYPE_CHECKING:
    from typing import BinaryIO

    from longshore.api.http import Request
    from longshore.api.responses import Response
    from longshore.api.workers import Workers
    from longshore.audit.trail import Trail
    from longshore.clock import Millis
    from longshore.metrics.counts import Counts
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.downloads import Download
    from longshore.registry.layers import Layer


@dataclass
class _Exchange:
    """One request and its fate, for whoever keeps a record of it."""

    request: Request
    download: Download | None = None
    error: RegistryError | None = None

    def record(self, default: Registry, at: Millis) -> ApiCall:
        """Return what the audit tells of it. Nobody knows who has a ticket."""
        registry = default
        parameters: dict[str, Any] | None = None
        resources: list[str] = []
        if self.download is not None:
            registry = self.download.registry
            parameters = {
                "registryId": registry.account,
                "repositoryName": self.download.repository,
                "layerDigest": str(self.download.digest),
            }
            resources = [registry.repository_arn(self.download.repository)]
        return ApiCall(
            service="ecr",
            operation=DOWNLOAD_OPERATION,
            region=registry.region,
            account=registry.account,
            identity=ANONYMOUS,
            source_ip=self.request.client_address,
            user_agent=self.request.user_agent or "",
            request_id=self.request.id,
            at=at,
            only_reads=True,
            parameters=parameters,
            resources=resources,
            error_code=None if self.error is None else self.error.code,
            error_message=None if self.error is None else self.error.message,
        )


class Downloads:
    """Answers everything below `/layers/`.

    Args:
        context: the store.
        default: the registry of tickets that aren't any.
        workers: where the rules run.
        trail: what is told of each request.
        counts: where requests are counted.
    """

    def __init__(
        self,
        *,
        context: Context,
        default: Registry,
        workers: Workers,
        trail: Trail,
        counts: Counts,
    ) -> None:
        self._context = context
        self._default = default
        self._workers = workers
        self._trail = trail
        self._counts = counts

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        exchange = _Exchange(request)
        response = None
        try:
            layer, file = await self._workers.run(self._open, exchange)
            response = serve(request, layer, file)
        except RegistryError as error:
            exchange.error = error
            response = text_response(_status_of(error), error.message)
        except Exception as error:
            exchange.error = auditing.unanswered(error)
            raise
        finally:
            self._trail.write(exchange.record(self._default, self._context.clock()))
            is_failure = auditing.is_failure(exchange.error)
            measuring.count(
                self._counts, "ecr", DOWNLOAD_OPERATION, request, response, is_failure=is_failure
            )
        return response

    def _open(self, exchange: _Exchange) -> tuple[Layer, BinaryIO]:
        ticket = exchange.request.path.removeprefix(DOWNLOAD_PATH)
        exchange.download = downloads.read(self._context, ticket)
        return exchange.download.open(self._context)


def _status_of(error: RegistryError) -> int:
    match error:
        case AccessDenied():
            return 403
        case LayersNotFound() | LayerArchived() | RepositoryNotFound():
            return 404
        case _:
            return 500
