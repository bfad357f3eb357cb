from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from bench.signing import Credentials, Signer

KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-west-1")
ADDRESS = "127.0.0.1:5000"


def test_a_request_is_signed_as_botocore_signs_it() -> None:
    body = b'{"repositoryName": "demo/app"}'
    ours = Signer(KEY, ADDRESS).headers("DescribeImages", body)
    unsigned = {name: value for name, value in ours.items() if name != "authorization"}
    request = AWSRequest("POST", f"http://{ADDRESS}/", unsigned, body)
    request.context["timestamp"] = ours["x-amz-date"]
    auth = SigV4Auth(BotocoreCredentials(KEY.key_id, KEY.secret), "ecr", KEY.region)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert ours["authorization"].endswith(f"Signature={signature}")


def test_a_signature_is_dated_now() -> None:
    dated = Signer(KEY, ADDRESS).headers("DescribeImages", b"{}")["x-amz-date"]
    when = datetime.strptime(dated, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert (datetime.now(UTC) - when).total_seconds() == pytest.approx(0, abs=60)
