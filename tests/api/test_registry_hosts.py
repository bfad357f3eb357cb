"""Which registry is meant: by the host on one face, by signature and `registryId` on the other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.api.stage import Stage
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Answer, RunningServer

DEFAULT = "000000000000"
OTHER = "111122223333"
_NUMBERS = itertools.count(1)


@pytest.fixture
def name(server: RunningServer) -> str:
    """The name of a repository in three registries, with the same tag on a different image each."""
    name = f"everywhere/{next(_NUMBERS)}"
    server.ecr.create_repository(repositoryName=name)
    server.ecr.create_repository(repositoryName=name, registryId=OTHER)
    server.ecr_in("eu-west-1").create_repository(repositoryName=name, registryId=OTHER)
    for host, region in (
        ("localhost", "us-east-1"),
        (f"{OTHER}.dkr.ecr.us-east-1.localhost", "us-east-1"),
        (f"{OTHER}.dkr.ecr.eu-west-1.localhost", "eu-west-1"),
    ):
        push(server, host, region, name)
    return name


def headers(server: RunningServer, host: str, region: str) -> list[tuple[str, str]]:
    return [("Host", host), ("Authorization", f"Basic {server.token(region)}")]


def push(server: RunningServer, host: str, region: str, name: str) -> None:
    image = oci_image(f"for {host}")
    for blob in image.blobs:
        path = f"/v2/{name}/blobs/uploads/?digest={blob.digest}"
        answer = server.send("POST", path, headers(server, host, region), blob.content)
        assert answer.status == 201
        # Absolute, with the host that the client used.
        assert answer.headers["location"] == f"http://{host}/v2/{name}/blobs/{blob.digest}"
    answer = server.send(
        "PUT", f"/v2/{name}/manifests/1", headers(server, host, region), image.content
    )
    assert answer.status == 201, answer.body


def pull(server: RunningServer, host: str, region: str, name: str) -> bytes:
    answer = server.send("GET", f"/v2/{name}/manifests/1", headers(server, host, region))
    assert answer.status == 200, answer.body
    return answer.body


HOSTS = [
    ("localhost", "us-east-1", "localhost"),
    ("127.0.0.1:5000", "us-east-1", "localhost"),
    ("[::1]:5000", "us-east-1", "localhost"),
    ("registry.example.org", "us-east-1", "localhost"),
    (f"{DEFAULT}.dkr.ecr.us-east-1.localhost:5000", "us-east-1", "localhost"),
    # Another domain than the server's names nothing.
    (f"{OTHER}.dkr.ecr.eu-west-1.amazonaws.com", "us-east-1", "localhost"),
    (f"{OTHER}.dkr.ecr.eu-west-1.localhost.example.org", "us-east-1", "localhost"),
    ("11112222333.dkr.ecr.eu-west-1.localhost", "us-east-1", "localhost"),
    (f"x{OTHER}.dkr.ecr.eu-west-1.localhost", "us-east-1", "localhost"),
    (
        f"{OTHER}.dkr.ecr.us-east-1.localhost:1",
        "us-east-1",
        f"{OTHER}.dkr.ecr.us-east-1.localhost",
    ),
    (f"{OTHER}.DKR.ECR.EU-WEST-1.Localhost", "eu-west-1", f"{OTHER}.dkr.ecr.eu-west-1.localhost"),
    (f"{OTHER}.dkr-ecr.eu-west-1.localhost", "eu-west-1", f"{OTHER}.dkr.ecr.eu-west-1.localhost"),
    (
        f"{OTHER}.dkr.ecr-fips.eu-west-1.localhost",
        "eu-west-1",
        f"{OTHER}.dkr.ecr.eu-west-1.localhost",
    ),
]


@pytest.mark.parametrize(("host", "region", "meant"), HOSTS)
def test_the_host_names_the_registry(
    server: RunningServer, name: str, host: str, region: str, meant: str
) -> None:
    assert pull(server, host, region, name) == oci_image(f"for {meant}").content


def test_registries_know_nothing_of_each_other(server: RunningServer, name: str) -> None:
    elsewhere = f"{OTHER}.dkr.ecr.eu-central-1.localhost"
    answer = server.send(
        "GET", f"/v2/{name}/manifests/1", headers(server, elsewhere, "eu-central-1")
    )
    assert (answer.status, answer.json()["errors"][0]["message"]) == (
        404,
        f"The repository with name '{name}' does not exist in the registry with id '{OTHER}'",
    )

    layer = oci_image("for localhost").blobs[1].digest
    there = headers(server, f"{OTHER}.dkr.ecr.us-east-1.localhost", "us-east-1")
    assert server.oci("HEAD", f"/v2/{name}/blobs/{layer}").status == 200
    assert server.send("HEAD", f"/v2/{name}/blobs/{layer}", there).status == 404

    server.ecr.delete_repository(repositoryName=name, force=True)
    assert server.send("GET", f"/v2/{name}/manifests/1", there).status == 200


def test_nothing_is_mounted_from_another_registry(server: RunningServer, name: str) -> None:
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    target = Stage.build(server)
    theirs = oci_image(f"for {OTHER}.dkr.ecr.us-east-1.localhost").blobs[1].digest
    answer = target.send("POST", f"blobs/uploads/?mount={theirs}&from={name}")
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")

    assert answer.status == 202


def test_the_signature_and_the_registry_id_name_the_registry(
    server: RunningServer, name: str
) -> None:
    def digests(region: str, registry_id: str | None) -> list[str]:
        chosen: Any = {} if registry_id is None else {"registryId": registry_id}
        answer = server.ecr_in(region).describe_images(repositoryName=name, **chosen)
        return [image["imageDigest"] for image in answer["imageDetails"]]

    for region, registry_id, meant in (
        ("us-east-1", None, "localhost"),
        ("us-east-1", DEFAULT, "localhost"),
        ("us-east-1", OTHER, f"{OTHER}.dkr.ecr.us-east-1.localhost"),
        ("eu-west-1", OTHER, f"{OTHER}.dkr.ecr.eu-west-1.localhost"),
    ):
        assert digests(region, registry_id) == [str(oci_image(f"for {meant}").digest)]
    with pytest.raises(ClientError, match=f"does not exist in the registry with id '{DEFAULT}'"):
        digests("eu-west-1", None)


def test_names_and_addresses_say_which_registry_it_is(server: RunningServer, name: str) -> None:
    port = server.address.partition(":")[2]
    [repository] = server.ecr_in("eu-west-1").describe_repositories(
        registryId=OTHER, repositoryNames=[name]
    )["repositories"]

    assert repository["repositoryArn"] == f"arn:aws:ecr:eu-west-1:{OTHER}:repository/{name}"
    assert repository["registryId"] == OTHER
    assert repository["repositoryUri"] == f"{OTHER}.dkr.ecr.eu-west-1.localhost:{port}/{name}"


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_regions_of_other_partitions(server: RunningServer, region: str, partition: str) -> None:
    name = f"partition/{next(_NUMBERS)}"
    client = server.ecr_in(region)

    repository = client.create_repository(repositoryName=name)["repository"]

    arn = f"arn:{partition}:ecr:{region}:{DEFAULT}:repository/{name}"
    assert repository["repositoryArn"] == arn
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == []
    wrong = arn.replace(partition, "aws")
    with pytest.raises(ClientError, match="Invalid ARN"):
        client.list_tags_for_resource(resourceArn=wrong)


# --- The host of the ECR face ---------------------------------------------------------------------

ENDPOINTS = [
    ("api.ecr.eu-west-1.localhost", "eu-west-1", True),
    ("ecr.eu-west-1.localhost:5000", "eu-west-1", True),
    ("api.ecr-fips.eu-west-1.localhost", "eu-west-1", True),
    ("ecr-fips.eu-west-1.localhost", "eu-west-1", True),
    ("anything.example.org", "eu-west-1", True),
    ("api.ecr.eu-west-1.localhost", "us-east-1", False),
    ("ecr.us-east-1.localhost", "eu-west-1", False),
]


@pytest.mark.parametrize(("host", "region", "agrees"), ENDPOINTS)
def test_the_host_of_the_endpoint_names_the_region(
    server: RunningServer, host: str, region: str, agrees: bool
) -> None:
    answer = server.call("DescribeRegistry", host=host, region=region)

    if agrees:
        assert answer.status == 200
    else:
        assert answer.status == 400
        assert answer.json() == {
            "__type": "InvalidSignatureException",
            "message": f"Credential should be scoped to a valid region, not '{region}'.",
        }


# --- Hosts that are none --------------------------------------------------------------------------

BAD_HOSTS = ["", "a b", "a/b", "user@host", "host:port", "host:123456", "a,b", "[::1", "ho\tst"]


@pytest.mark.parametrize("host", BAD_HOSTS, ids=repr)
def test_a_host_that_is_none_is_refused(server: RunningServer, host: str) -> None:
    answer = server.oci("GET", "/v2/", [("Host", host)])

    assert answer.status == 400
    check_no_echo(answer, host)


def check_no_echo(answer: Answer, host: str) -> None:
    if host:
        assert host.encode() not in answer.body
    assert "www-authenticate" not in answer.headers


@pytest.fixture
def configured(new_server: Callable[..., RunningServer]) -> RunningServer:
    """A server with a domain, an account and a region of its own, behind a proxy with TLS."""
    return new_server(
        domain="registry.example.org",
        account="999988887777",
        region="ap-south-1",
        behind_tls=True,
    )


def test_domain_account_and_region_are_the_operators_choice(configured: RunningServer) -> None:
    client = configured.ecr_in("ap-south-1")
    repository = client.create_repository(repositoryName="demo/app")["repository"]
    [authorization] = client.get_authorization_token()["authorizationData"]
    header = ("Authorization", f"Basic {authorization['authorizationToken']}")
    host = "999988887777.dkr.ecr.ap-south-1.registry.example.org"

    assert repository["repositoryUri"] == f"{host}/demo/app"
    assert authorization["proxyEndpoint"] == f"https://{host}"
    for alias in (host, "localhost:5000"):
        answer = configured.send("POST", "/v2/demo/app/blobs/uploads/", [header, ("Host", alias)])
        assert answer.headers["location"].startswith(f"https://{alias}/v2/demo/app/blobs/uploads/")
    answer = configured.send("GET", "/v2/", [("Host", host)])
    assert answer.headers["www-authenticate"] == (
        f'Basic realm="https://{host}/",service="ecr.amazonaws.com"'
    )
