"""The face that ECR, IAM and STS share: from a signed HTTP request to an operation, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from longshore.access.signatures import read_signature
from longshore.api import auditing, measuring
from longshore.api.aws.exchanges import Exchange
from longshore.api.aws.outcomes import Outcomes
from longshore.api.http import log_own_failure
from longshore.errors import (
    MalformedHttpRequest,
    MissingAuthenticationToken,
    RegistryError,
    Server,
    Throttling,
)
from longshore.identity import access_keys, authorization
from longshore.identity.principals import ANONYMOUS
from longshore.names import is_region
from longshore.registry.key_uses import KeyUse
from longshore.registry.memory import NotInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from longshore.access.signatures import Signature
    from longshore.access.sigv4 import SignatureVerifier
    from longshore.api.attempts import Attempts
    from longshore.api.aws.api import Api
    from longshore.api.aws.calls import Call
    from longshore.api.aws.operations import Operation
    from longshore.api.aws.outcomes import Outcome
    from longshore.api.hosts import Hosts
    from longshore.api.http import Request
    from longshore.api.responses import Response
    from longshore.api.throttle import Throttle
    from longshore.api.workers import Workers
    from longshore.audit.trail import Trail
    from longshore.identity.access_keys import Credentials
    from longshore.identity.authorization import Need
    from longshore.identity.principals import Principal
    from longshore.metrics.counts import Counts
    from longshore.registry.context import Context
    from longshore.registry.pulls import PulledImage

Result = TypeVar("Result")

# What the event loop may hash and look up in passing.
_SMALL_BODY = 16 * 1024
# All that a stranger may send: a token of 20,000 characters, and a session policy.
_LARGEST_UNSIGNED_BODY = 64 * 1024

# What is remembered of a request takes so many bytes, for each byte of it and for each need. An
# empty list in a list is three bytes of JSON and sixty of memory.
_SIZE_OF_MEMBERS = 20
_SIZE_OF_NEED = 1024

_FORM = "application/x-www-form-urlencoded"


class AwsFace:
    """Answers `POST /`.

    Args:
        context: the store.
        hosts: the names under which the server is known.
        json_api: the API whose requests name their operation in `X-Amz-Target`.
        query_apis: those whose requests are forms. The last of them has unsigned operations.
        verifier: checks signatures.
        throttle: counts requests.
        attempts: counts failures to authenticate.
        workers: where operations run.
        trail: what is told of each request.
        counts: where requests are counted.
    """

    def __init__(
        self,
        *,
        context: Context,
        hosts: Hosts,
        json_api: Api,
        query_apis: Sequence[Api],
        verifier: SignatureVerifier,
        throttle: Throttle,
        attempts: Attempts,
        workers: Workers,
        trail: Trail,
        counts: Counts,
    ) -> None:
        self._context = context
        self._without_waiting = context.without_waiting()
        self._outcomes = Outcomes(context, self._without_waiting)
        self._hosts = hosts
        self._json_api = json_api
        self._query_apis = {api.name: api for api in query_apis}
        self._unsigned_api = query_apis[-1]
        self._verifier = verifier
        self._throttle = throttle
        self._attempts = attempts
        self._workers = workers
        self._trail = trail
        self._counts = counts

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        exchange = Exchange(request, self._api_of(request))
        response = None
        try:
            response = await self._answer(exchange)
        except RegistryError as error:
            log_own_failure(error, request)
            exchange.error = error
            response = exchange.api.refusal(error, request.id)
        except Exception as error:
            exchange.error = auditing.unanswered(error)
            raise
        finally:
            self._tell(exchange)
            is_failure = auditing.is_failure(exchange.error)
            measuring.count(
                self._counts,
                exchange.api.name,
                exchange.operation,
                request,
                response,
                is_failure=is_failure,
            )
        return response.with_header("x-amzn-RequestId", request.id)

    def _tell(self, exchange: Exchange) -> None:
        """Tell the audit of a request, and keep what it came to if it may be kept."""
        now, outcome = self._context.clock(), exchange.outcome
        if outcome is not None and exchange.error is None:
            self._trail.write(outcome.record(exchange, now))
            return
        record = exchange.record(self._hosts.default, now)
        self._trail.write(record)
        if exchange.is_from_memory and exchange.error is None:
            self._outcomes.keep(exchange, record)

    def answer_to_failure(self, request: Request) -> Response:
        """Tell the client that the server failed, and where its operator can read why."""
        error = Server(f"The server failed. Its log tells why, under the request id {request.id}.")
        response = self._api_of(request).refusal(error, request.id)
        return response.with_header("x-amzn-RequestId", request.id)

    def _api_of(self, request: Request) -> Api:
        if request.header(b"x-amz-target") is not None:
            return self._json_api
        content_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
        return self._unsigned_api if content_type == _FORM else self._json_api

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        if exchange.api is self._unsigned_api and request.header(b"authorization") is None:
            return await self._answer_unsigned(exchange)
        signature = exchange.signature = read_signature(request.head())
        self._check_scope(exchange, signature)
        _refuse_encoding(request)
        largest = exchange.api.largest_body(request)

        def watch() -> AbstractContextManager[None]:
            return self._attempts.watch(request.client_address, signature.access_key_id)

        def serve(context: Context) -> Response:
            with watch():
                credentials = self._authenticate(context, exchange, signature)
            outcome = self._outcomes.find(context, exchange)
            if outcome is not None and self._admits(exchange, outcome):
                return self._answer_again(exchange, outcome, context, credentials)
            call = exchange.call = self._call(
                exchange, credentials.principal, credentials, signature.region
            )
            operation = exchange.api.operation(str(exchange.operation))
            return self._perform(exchange, operation, call, context)

        announced = request.content_length
        if announced is None or announced > _SMALL_BODY:
            # Only who has a key may send what takes memory.
            with watch():
                await self._credentials(signature)
        exchange.body = await request.body(largest)
        exchange.operation = exchange.api.operation_name(request, exchange.body)
        operation = exchange.api.operations.get(exchange.operation)
        is_quick = operation is None or operation.is_remembered or operation.only_computes
        is_small = len(exchange.body) <= _SMALL_BODY
        exchange.is_remembered = operation is not None and is_quick and is_small
        response, exchange.is_from_memory = await self._quickly(
            serve, is_small=is_quick and is_small
        )
        return response

    async def _answer_unsigned(self, exchange: Exchange) -> Response:
        request = exchange.request
        _refuse_encoding(request)
        largest = min(exchange.api.largest_body(request), _LARGEST_UNSIGNED_BODY)
        exchange.body = await request.body(largest)
        exchange.operation = exchange.api.operation_name(request, exchange.body)
        operation = exchange.api.operations.get(exchange.operation)
        if operation is None or not operation.is_unsigned:
            raise MissingAuthenticationToken
        region = self._hosts.region_of_endpoint(request.host) or self._hosts.default.region
        call = exchange.call = self._call(exchange, ANONYMOUS, None, region)
        # What proves who sends it is in the request, and is looked at where it is answered.
        with self._attempts.watch(request.client_address, exchange.operation):
            return await self._workers.run(self._perform, exchange, operation, call, self._context)

    def _check_scope(self, exchange: Exchange, signature: Signature) -> None:
        """Refuse a signature for another service or region; of two APIs, it names the one meant."""
        if exchange.api is self._unsigned_api:
            exchange.api = self._query_apis.get(signature.service, exchange.api)
        region = self._hosts.region_of_endpoint(exchange.request.host)
        self._verifier.check_scope(
            signature,
            region=is_region if region is None else region,
            service=exchange.api.name,
        )

    async def _credentials(self, signature: Signature) -> Credentials:
        """Return the credentials of whoever claims to sign, or refuse what no body makes good."""

        def find(context: Context) -> Credentials:
            return access_keys.find(context, signature.access_key_id, signature.security_token)

        credentials, _ = await self._quickly(find, is_small=True)
        return credentials

    def _authenticate(
        self, context: Context, exchange: Exchange, signature: Signature
    ) -> Credentials:
        # Not from before the body: a key may have been revoked while it was sent.
        credentials = access_keys.find(context, signature.access_key_id, signature.security_token)
        self._verifier.verify(
            signature, exchange.request.head(), exchange.body_sha256.hex(), credentials.secret
        )
        if credentials.session is None:
            use = KeyUse(self._context.clock(), signature.service, signature.region)
            self._context.key_uses.note(credentials.key_id, use)
        return credentials

    def _call(
        self,
        exchange: Exchange,
        principal: Principal,
        signed_with: Credentials | None,
        signed_region: str,
    ) -> Call:
        region = exchange.api.region or signed_region
        return exchange.api.call(
            context=self._context,
            hosts=self._hosts,
            principal=principal,
            signed_with=signed_with,
            region=region,
            base_url=exchange.request.base_url,
            surroundings=exchange.request.surroundings(region),
        )

    async def _quickly(
        self, function: Callable[[Context], Result], *, is_small: bool
    ) -> tuple[Result, bool]:
        """Call a function on the event loop if it is small and memory is enough, else elsewhere.

        Returns:
            What it returns, and whether memory was enough.
        """
        if is_small:
            try:
                return self._without_waiting.run(function), True
            except NotInMemory:
                pass
        return await self._workers.run(function, self._context), False

    def _answer_again(
        self, exchange: Exchange, outcome: Outcome, context: Context, credentials: Credentials
    ) -> Response:
        """Answer what has been answered before, to somebody whose signature was good again."""
        exchange.outcome = outcome
        self._note_pulls(outcome.pulled, outcome.puller)
        api, name, content = exchange.api, str(exchange.operation), outcome.content
        if content is None:
            region = cast("Signature", exchange.signature).region
            call = self._call(exchange, credentials.principal, credentials, region)
            call.context = context
            content = api.serialize(name, api.operation(name).handler(call, outcome.members))
        return api.answer(name, content, exchange.request.id)

    def _note_pulls(self, pulled: Sequence[PulledImage], puller: str) -> None:
        for image in pulled:
            self._context.pulls.note(image, puller, self._context.clock())

    def _admits(self, exchange: Exchange, outcome: Outcome) -> bool:
        """Count a request for the rate limits; who is held up by them is refused the usual way."""
        try:
            self._throttle.count(str(exchange.operation), outcome.registry)
        except Throttling:
            return False
        exchange.is_counted = True
        return True

    def _perform(
        self, exchange: Exchange, operation: Operation, call: Call, context: Context
    ) -> Response:
        """Let the caller have what the request asks for, if they may."""
        call.context, call.pulled = context, []
        api, name = exchange.api, str(exchange.operation)
        asked = (api.name, name, call.region, exchange.body_sha256)

        def find_needs() -> tuple[Need, ...]:
            return tuple(operation.needs(call, exchange.members))

        def run() -> tuple[bytes, Sequence[PulledImage]]:
            exchange.output = operation.handler(call, exchange.members)
            return api.serialize(name, exchange.output), call.pulled

        if exchange.is_remembered:
            exchange.members, exchange.needs = context.memory.answer(
                ("request", call.caller, *asked),
                lambda: (exchange.members, find_needs()),
                lambda known: len(exchange.body) * _SIZE_OF_MEMBERS + len(known[1]) * _SIZE_OF_NEED,
            )
        else:
            exchange.needs = find_needs()
        # Before every answer, remembered or not.
        for need in exchange.needs:
            authorization.require(context, call.principal, need, call.surroundings)
        if not exchange.is_counted:
            self._throttle.count(name, call.own_registry)
            exchange.is_counted = True
        if exchange.is_remembered and not operation.only_computes:
            content, pulled = exchange.answer = context.memory.answer(
                ("answer", call.caller, call.base_url, *asked),
                run,
                lambda answer: len(answer[0]) + len(call.base_url),
                is_long=True,
            )
        else:
            content, pulled = run()
        # Not by the clock that watches: the answer doesn't depend on when it is given.
        self._note_pulls(pulled, call.principal.identity_arn)
        return api.answer(name, content, exchange.request.id)


def _refuse_encoding(request: Request) -> None:
    if request.header(b"content-encoding") not in {None, "", "identity"}:
        raise MalformedHttpRequest("The body must be sent as it is, without a Content-Encoding.")
