"""The ECR face: from a signed HTTP request to an operation, and back."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.access.sigv4 import read_signature
from longshore.api.ecr.calls import Call
from longshore.api.ecr.errors import CONTENT_TYPE, response_to
from longshore.api.ecr.operations import OPERATIONS
from longshore.api.http import Response, log_own_failure
from longshore.errors import (
    MalformedHttpRequest,
    NotBuiltYet,
    RegistryError,
    Server,
    UnknownOperation,
)
from longshore.identity import access_keys, authorization
from longshore.names import is_region
from longshore.registry.memory import NotInMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.access.sigv4 import RequestHead, Signature, SignatureVerifier
    from longshore.api.aws.json import JsonService
    from longshore.api.aws.json import Operation as JsonOperation
    from longshore.api.ecr.operations import Operation
    from longshore.api.hosts import Hosts
    from longshore.api.http import Request
    from longshore.api.throttle import Throttle
    from longshore.api.workers import Workers
    from longshore.identity.authorization import Need
    from longshore.registry.context import Context

SERVICE = "ecr"

# Of the other operations, whose longest lists are a hundred ids.
_LARGEST_BODY = 256 * 1024
# What the event loop may hash and look up in passing.
_SMALL_BODY = 16 * 1024


class EcrFace:
    """Answers `POST /`.

    Args:
        context: the store.
        hosts: the names under which the server is known.
        service: the service model, compiled.
        verifier: checks signatures.
        throttle: counts requests.
        workers: where operations run.
    """

    def __init__(
        self,
        *,
        context: Context,
        hosts: Hosts,
        service: JsonService,
        verifier: SignatureVerifier,
        throttle: Throttle,
        workers: Workers,
    ) -> None:
        self._context = context
        self._without_waiting = context.without_waiting()
        self._hosts = hosts
        self._service = service
        self._verifier = verifier
        self._throttle = throttle
        self._workers = workers
        self._largest_bodies = {
            # A part is carried as base64, and a manifest with its quotes escaped.
            "UploadLayerPart": context.limits.layer_part_largest * 4 // 3 + _LARGEST_BODY,
            "PutImage": context.limits.manifest_size * 2 + _LARGEST_BODY,
        }

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        try:
            response = await self._answer(request)
        except RegistryError as error:
            log_own_failure(error, request)
            response = response_to(error)
        return response.with_headers(x_amzn_RequestId=request.id)

    def answer_to_failure(self, request: Request) -> Response:
        """Tell the client that the server failed, and where its operator can read why."""
        error = Server(f"The server failed. Its log tells why, under the request id {request.id}.")
        return response_to(error).with_headers(x_amzn_RequestId=request.id)

    async def _answer(self, request: Request) -> Response:
        head = request.head()
        signature = read_signature(head)
        if request.header(b"content-encoding") not in {None, "", "identity"}:
            raise MalformedHttpRequest(
                "The body must be sent as it is, without a Content-Encoding."
            )
        name = self._operation_name(request)
        # Only who has a key may send what takes memory.
        await self._check_key(request, signature)
        body = await request.body(self._largest_bodies.get(name, _LARGEST_BODY))
        call = await self._admit(request, head, signature, body)
        self._throttle.count(name, call.own_registry)
        operation = OPERATIONS.get(name)
        if operation is not None and operation.only_reads and len(body) <= _SMALL_BODY:
            with suppress(NotInMemory):
                return self._perform(replace(call, context=self._without_waiting), name, body)
        return await self._workers.run(self._perform, call, name, body)

    async def _check_key(self, request: Request, signature: Signature) -> None:
        """Refuse a request that no body could make good."""
        region = self._hosts.region_of_endpoint(request.host)
        self._verifier.check_scope(
            signature, region=is_region if region is None else region, service=SERVICE
        )
        asked = signature.access_key_id, signature.security_token
        try:
            access_keys.find(self._without_waiting, *asked)
        except NotInMemory:
            await self._workers.run(access_keys.find, self._context, *asked)

    async def _admit(
        self, request: Request, head: RequestHead, signature: Signature, body: bytes
    ) -> Call:
        """Find out who calls, on the event loop where that takes no time."""
        if len(body) <= _SMALL_BODY:
            with suppress(NotInMemory):
                return self._authenticate(self._without_waiting, request, head, signature, body)
        return await self._workers.run(
            self._authenticate, self._context, request, head, signature, body
        )

    def _perform(self, call: Call, name: str, body: bytes) -> Response:
        protocol = self._service.operations[name]
        operation = OPERATIONS.get(name)
        if operation is None:
            protocol.parse(body)
            raise NotBuiltYet(
                f"{name} is not built yet in Longshore. docs/operations.md lists what is."
            )
        if operation.only_reads and len(body) <= _SMALL_BODY:
            content = self._recall(call, name, operation, protocol, body)
        else:
            request = protocol.parse(body)
            _require_all(call, operation.needs(call, request))
            content = protocol.serialize(operation.handler(call, request))
        return Response(200, {"Content-Type": CONTENT_TYPE}, content)

    @staticmethod
    def _recall(
        call: Call, name: str, operation: Operation, protocol: JsonOperation, body: bytes
    ) -> bytes:
        """Return an answer that may be in memory, to somebody who may still have it."""
        asked = (name, call.caller, call.region, call.base_url, hashlib.sha256(body).digest())
        needs = call.context.memory.answer(
            ("needs", *asked), lambda: tuple(operation.needs(call, protocol.parse(body)))
        )
        _require_all(call, needs)
        return call.context.memory.answer(
            asked,
            lambda: protocol.serialize(operation.handler(call, protocol.parse(body))),
            len,
        )

    def _authenticate(
        self,
        context: Context,
        request: Request,
        head: RequestHead,
        signature: Signature,
        body: bytes,
    ) -> Call:
        credentials = access_keys.find(context, signature.access_key_id, signature.security_token)
        digest = hashlib.sha256(body).hexdigest()
        self._verifier.verify(signature, head, digest, credentials.secret)
        return Call(
            context=self._context,
            hosts=self._hosts,
            credentials=credentials,
            surroundings=request.surroundings(signature.region),
            region=signature.region,
            base_url=request.base_url,
        )

    def _operation_name(self, request: Request) -> str:
        prefix, _, name = (request.header(b"x-amz-target") or "").partition(".")
        if prefix != self._service.target_prefix or name not in self._service.operations:
            raise UnknownOperation(
                f"X-Amz-Target must be {self._service.target_prefix}.<an operation of Amazon ECR>"
            )
        return name


def _require_all(call: Call, needs: Iterable[Need]) -> None:
    for need in needs:
        authorization.require(call.context, call.principal, need, call.surroundings)
