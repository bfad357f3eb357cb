"""Requests to the ECR API, signed (AWS Signature Version 4).

Not by botocore: thousands of them are made for one sample, and it takes its time for each.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.http import raw_request

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGET = "AmazonEC2ContainerRegistry_V20150921"
_SERVICE = "ecr"
_CONTENT_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, and the region that it is used in."""

    key_id: str
    secret: str
    region: str


class Signer:
    """Makes requests to one server, good for a quarter of an hour.

    Args:
        credentials: who asks.
        address: the server, as the Host header names it.
    """

    def __init__(self, credentials: Credentials, address: str) -> None:
        self._credentials = credentials
        self._address = address
        self._time = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._scope = f"{self._time[:8]}/{credentials.region}/{_SERVICE}/aws4_request"
        key = f"AWS4{credentials.secret}".encode()
        for part in self._scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key

    def headers(self, operation: str, body: bytes) -> dict[str, str]:
        """Return the headers that `body` is to be sent with."""
        headers = {
            "content-type": _CONTENT_TYPE,
            "host": self._address,
            "x-amz-date": self._time,
            "x-amz-target": f"{TARGET}.{operation}",
        }
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self._time}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.key_id}/{self._scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return headers

    def request(self, operation: str, document: Mapping[str, object]) -> bytes:
        """Return a request as it goes over the wire."""
        body = json.dumps(document).encode()
        headers = self.headers(operation, body)
        return raw_request("POST", "/", headers.pop("host"), headers, body)
