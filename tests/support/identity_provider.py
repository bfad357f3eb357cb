"""An identity provider: it has keys, signs tokens with them, and publishes their public halves."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


@dataclass(frozen=True)
class SigningKey:
    """A key pair of a provider's."""

    id: str
    private: PrivateKey
    algorithm: str

    @classmethod
    def make(cls, key_id: str, algorithm: str = "RS256", bits: int = 2048) -> SigningKey:
        if algorithm in CURVES:
            return cls(key_id, ec.generate_private_key(CURVES[algorithm]), algorithm)
        return cls(key_id, rsa.generate_private_key(65537, bits), algorithm)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.id, **header})

    def published(self, **members: Any) -> dict[str, Any]:
        public = self.private.public_key()
        entry: dict[str, Any] = (
            RSAAlgorithm.to_jwk(public, as_dict=True)
            if isinstance(public, rsa.RSAPublicKey)
            else ECAlgorithm.to_jwk(public, as_dict=True)
        )
        # PyJWT adds what the key may be used for; providers seldom do.
        entry.pop("key_ops", None)
        return {**entry, "kid": self.id, "use": "sig", "alg": self.algorithm, **members}


def key_set(*keys: SigningKey) -> str:
    return json.dumps({"keys": [key.published() for key in keys]})


def encoded(document: object) -> str:
    """Return a part of a token as it is written."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Site:
    """What a local HTTPS server answers: by path, and what it was asked."""

    address: str
    certificate: Path
    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(
        default_factory=dict
    )
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"https://{self.address}{path}"

    def publish(self, path: str, content: str | bytes, status: int = 200, **headers: str) -> None:
        body = content.encode() if isinstance(content, str) else content

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer

    def trusted(self) -> ssl.SSLContext:
        """Return what a client believes that trusts this site."""
        return ssl.create_default_context(cafile=str(self.certificate))


@contextmanager
def running_site(certificate: Path) -> Iterator[Site]:
    """Run an HTTPS server on the loopback interface with a certificate for `localhost`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            answer = site.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients may go when they like."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    site = Site(f"localhost:{server.server_address[1]}", certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
