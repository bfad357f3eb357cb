"""The registry face: from an HTTP request below `/v2/` to a rule, and back."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from longshore.api import auditing, measuring
from longshore.api.basic import read_basic
from longshore.api.http import log_own_failure
from longshore.api.measuring import REGISTRY_FACE
from longshore.api.oci.buffers import Buffers
from longshore.api.oci.calls import Call
from longshore.api.oci.errors import not_authorized, response_to
from longshore.api.oci.exchanges import Exchange
from longshore.api.oci.receiving import PIECE
from longshore.api.oci.repeats import Basis, Repeats
from longshore.api.oci.routes import find_route
from longshore.errors import AccessDenied, RegistryError, Server, UnrecognizedClient
from longshore.identity import authorization, registry_tokens
from longshore.identity.principals import ANONYMOUS
from longshore.registry.memory import NotInMemory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from longshore.api.attempts import Attempts
    from longshore.api.hosts import Hosts
    from longshore.api.http import Request
    from longshore.api.oci.routes import Route
    from longshore.api.responses import Response
    from longshore.api.throttle import Throttle
    from longshore.api.workers import Workers
    from longshore.audit.trail import Trail
    from longshore.identity.authorization import Need, Surroundings
    from longshore.identity.principals import Principal
    from longshore.metrics.counts import Counts
    from longshore.registry.context import Context, Standing

# To find it out takes longer than most of what a request is asked.
_is_coroutine_function = lru_cache(inspect.iscoroutinefunction)


class OciFace:
    """Answers everything below `/v2/`.

    Args:
        context: the store.
        hosts: the names under which the server is known.
        throttle: counts requests.
        attempts: counts failures to authenticate.
        workers: where the rules run.
        trail: what is told of each request.
        counts: where requests are counted.
    """

    def __init__(
        self,
        *,
        context: Context,
        hosts: Hosts,
        throttle: Throttle,
        attempts: Attempts,
        workers: Workers,
        trail: Trail,
        counts: Counts,
    ) -> None:
        self._context = context
        self._without_waiting = context.without_waiting()
        self._hosts = hosts
        self._throttle = throttle
        self._attempts = attempts
        self._workers = workers
        self._buffers = Buffers(PIECE)
        self._trail = trail
        self._counts = counts
        self.repeats = Repeats(
            context,
            self._without_waiting,
            throttle=throttle,
            attempts=attempts,
            trail=trail,
            counts=counts,
        )

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        exchange = Exchange(request, self._hosts.default)
        response = None
        try:
            response = await self._answer(exchange)
            exchange.status = response.status
        except UnrecognizedClient as error:
            exchange.error = error
            response = not_authorized(request.base_url)
        except RegistryError as error:
            log_own_failure(error, request)
            exchange.error = error
            response = response_to(error, self._context.dialect.name)
        except Exception as error:
            exchange.error = auditing.unanswered(error)
            raise
        finally:
            records = exchange.records(self._context.clock())
            for record in records:
                self._trail.write(record)
            is_failure = auditing.is_failure(exchange.error)
            measuring.count(
                self._counts,
                REGISTRY_FACE,
                exchange.operation,
                request,
                response,
                is_failure=is_failure,
            )
        response = _versioned(response)
        self.repeats.keep(exchange, records[-1], response)
        return response

    def answer_to_failure(self, request: Request) -> Response:
        """Tell the client that the server failed, and where its operator can read why."""
        error = Server(f"The server failed. Its log tells why, under the request id {request.id}.")
        return _versioned(response_to(error, self._context.dialect.name))

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        registry = exchange.registry = self._hosts.registry_of(request.host)
        credentials = read_basic(request)
        route, name, argument = _find_route(request, is_anonymous=credentials is None)
        exchange.route, exchange.name, exchange.argument = route, name, argument
        needs = exchange.needs = route.needs(request, registry, name)
        surroundings = request.surroundings(registry.region)
        body = b""
        is_counted = False
        standing: Standing | None = None
        if credentials is not None:
            exchange.credentials = credentials.digest

        def admit_again() -> None:
            if standing is None or not standing.holds():
                admit(self._context)

        def admit(context: Context) -> Call:
            nonlocal is_counted
            principal = ANONYMOUS
            if credentials is not None:
                with self._attempts.watch(request.client_address, exchange.credentials):
                    principal = registry_tokens.authenticate(
                        context, credentials.password, registry, credentials.user
                    )
            exchange.principal = principal
            _authorize(context, principal, needs, surroundings)
            if not is_counted:
                self._throttle.count(route.operation, registry)
                is_counted = True
            return Call(
                context=context,
                workers=self._workers,
                buffers=self._buffers,
                request=request,
                body=body,
                registry=registry,
                principal=principal,
                surroundings=surroundings,
                name=name,
                argument=argument,
                creations=exchange.creations,
                pulled=exchange.pulled,
                admit_again=admit_again,
            )

        if _is_coroutine_function(route.handler):
            key_ids = self._context.server_key.ids
            try:
                call = self._without_waiting.run(admit)
                standing = self._without_waiting.standing(key_ids)
            except NotInMemory:
                call = await self._workers.run(admit, self._context)
            call.context = self._context
            receive = cast("Callable[[Call], Awaitable[Response]]", route.handler)
            return await receive(call)
        if route.reads_manifest:
            # Only who may come in may send what takes memory. Whether they still may is asked
            # again when it is there.
            await self._workers.run(admit, self._context)
            body = await request.body(self._context.limits.manifest_size)
        handler = cast("Callable[[Call], Response]", route.handler)
        return await self._serve(exchange, route, lambda context: handler(admit(context)))

    async def _serve(
        self, exchange: Exchange, route: Route, serve: Callable[[Context], Response]
    ) -> Response:
        """Let a request be answered, from memory if that is enough."""
        response = self._serve_from_memory(exchange, serve) if route.is_hot else None
        if response is None:
            # One hop: who it is and what they want in the same thread.
            response = await self._workers.run(serve, self._context)
        for image in exchange.pulled:
            self._context.pulls.note(image, exchange.puller, self._context.clock())
        return response

    def _serve_from_memory(
        self, exchange: Exchange, serve: Callable[[Context], Response]
    ) -> Response | None:
        # From before: an answer that another key would have forbidden must not be kept under it.
        key_ids = self._context.server_key.ids
        try:
            response = self._without_waiting.run(serve)
        except NotInMemory:
            exchange.pulled.clear()
            return None
        exchange.basis = Basis(key_ids, self._without_waiting.until)
        return response


def _authorize(
    context: Context, principal: Principal, needs: list[Need], surroundings: Surroundings
) -> None:
    """Let a request pass whose sender may do all that it needs.

    Raises:
        UnrecognizedClient: nobody knows who sends it; who has credentials will show them then.
        AccessDenied: they are known, and may not.
    """
    if principal is ANONYMOUS and not needs:
        raise UnrecognizedClient
    try:
        for need in needs:
            authorization.require(context, principal, need, surroundings)
    except AccessDenied:
        if principal is ANONYMOUS:
            raise UnrecognizedClient from None
        raise


def _versioned(response: Response) -> Response:
    return response.with_header("Docker-Distribution-Api-Version", "registry/2.0")


def _find_route(request: Request, *, is_anonymous: bool) -> tuple[Route, str, str]:
    if not is_anonymous:
        return find_route(request.method, request.path)
    # Whom nobody knows may read, where a policy says so, and hears of nothing else.
    if not request.only_reads:
        raise UnrecognizedClient
    try:
        return find_route(request.method, request.path)
    except RegistryError:
        raise UnrecognizedClient from None
