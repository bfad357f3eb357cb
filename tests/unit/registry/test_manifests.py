from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from longshore.errors import InvalidParameter
from longshore.names import Digest
from longshore.registry.manifests import (
    ECR_RULES,
    MAX_DEPTH,
    MAX_DESCRIPTORS,
    MAX_SIZE,
    OCI_RULES,
    Descriptor,
    InvalidManifest,
    Manifest,
    ManifestRules,
    parse,
)
from longshore.registry.media_types import (
    DOCKER_CONFIG,
    DOCKER_FOREIGN_LAYER_GZIP,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    FOREIGN_LAYER_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

CATCH_ALL = (
    "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
)
NO_LAYER = (
    "Invalid parameter at 'ImageManifest' failed to satisfy constraint: "
    "'Image has to have at least 1 layer'"
)
SBOM = "application/vnd.example.sbom.v1+json"
ABSENT = object()


def sha256(number: int) -> str:
    return f"sha256:{number:064x}"


def sha512(number: int) -> str:
    return f"sha512:{number:0128x}"


def descriptor(number, media_type=OCI_LAYER_GZIP, size=100, **more):
    return {"mediaType": media_type, "digest": sha256(number), "size": size, **more}


def changed(document, changes):
    return {name: value for name, value in {**document, **changes}.items() if value is not ABSENT}


def image(**changes):
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(1, OCI_CONFIG, 7),
        "layers": [descriptor(2), descriptor(3)],
    }
    return changed(document, changes)


def docker_image(**changes):
    document = image(
        mediaType=DOCKER_MANIFEST,
        config=descriptor(1, DOCKER_CONFIG, 7),
        layers=[descriptor(2, DOCKER_LAYER_GZIP), descriptor(3, DOCKER_LAYER_GZIP)],
    )
    return changed(document, changes)


def index(**changes):
    platform = {"architecture": "arm64", "os": "linux", "variant": "v8"}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            descriptor(11, OCI_MANIFEST, 500, platform=platform),
            descriptor(12, OCI_INDEX, 600),
        ],
    }
    return changed(document, changes)


def docker_list(**changes):
    document = index(mediaType=DOCKER_LIST, manifests=[descriptor(11, DOCKER_MANIFEST, 500)])
    return changed(document, changes)


def artifact(**changes):
    document = image(
        artifactType=SBOM, config=descriptor(1, OCI_EMPTY, 2), layers=[descriptor(2, SBOM)]
    )
    return changed(document, changes)


def encoded(document) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def read(document, declared=None, rules=OCI_RULES) -> Manifest:
    return parse(encoded(document), declared, rules)


def digests(*numbers: int) -> tuple[Digest, ...]:
    return tuple(Digest.parse(sha256(number)) for number in numbers)


# --- What is read -------------------------------------------------------------------------------


def test_an_image_is_read_whole():
    document = image(annotations={"org.example.a": "1", "org.example.A": ""})

    manifest = read(document, rules=ECR_RULES)

    assert manifest == Manifest(
        media_type=OCI_MANIFEST,
        digest=Digest("sha256", hashlib.sha256(encoded(document)).hexdigest()),
        config=Descriptor(OCI_CONFIG, Digest.parse(sha256(1)), 7),
        layers=(
            Descriptor(OCI_LAYER_GZIP, Digest.parse(sha256(2)), 100),
            Descriptor(OCI_LAYER_GZIP, Digest.parse(sha256(3)), 100),
        ),
        artifact_type=OCI_CONFIG,
        annotations={"org.example.a": "1", "org.example.A": ""},
    )
    assert not manifest.is_index
    assert manifest.config_media_type == manifest.artifact_media_type == OCI_CONFIG
    assert manifest.required_layers == digests(1, 2, 3)
    assert manifest.required_images == ()
    assert manifest.size == 207


def test_an_index_is_read_whole():
    manifest = read(index(artifactType=SBOM, annotations={"a": "b"}), rules=ECR_RULES)

    assert manifest.is_index
    assert manifest.config is None
    assert manifest.layers == manifest.required_layers == manifest.blobs == ()
    assert [child.media_type for child in manifest.children] == [OCI_MANIFEST, OCI_INDEX]
    assert [child.size for child in manifest.children] == [500, 600]
    assert manifest.required_images == digests(11, 12)
    assert manifest.size is None
    assert manifest.config_media_type is None
    assert manifest.artifact_type == SBOM
    assert manifest.artifact_media_type is None
    assert manifest.annotations == {"a": "b"}


def test_an_artifact_is_known_by_its_artifact_type_and_refers_to_its_subject():
    manifest = read(artifact(subject=descriptor(9, OCI_MANIFEST, 800)), rules=ECR_RULES)

    assert manifest.artifact_type == manifest.artifact_media_type == SBOM
    assert manifest.config_media_type == OCI_EMPTY
    assert manifest.subject == Descriptor(OCI_MANIFEST, Digest.parse(sha256(9)), 800)
    assert manifest.required_layers == digests(1, 2)
    assert manifest.required_images == ()


def test_an_artifact_of_before_artifact_types_is_known_by_its_config():
    helm = "application/vnd.cncf.helm.config.v1+json"

    manifest = read(image(config=descriptor(1, helm)))

    assert manifest.artifact_type == manifest.artifact_media_type == helm


def test_an_index_without_an_artifact_type_has_none():
    assert read(index()).artifact_type is None


@pytest.mark.parametrize("document", [docker_image(), docker_list()])
def test_members_that_only_oci_knows_mean_nothing_in_docker_formats(document):
    strange = {"subject": 1, "artifactType": [], "annotations": {"a": 1}}

    manifest = read({**document, **strange})

    assert manifest.subject is None
    assert manifest.artifact_type == (None if manifest.is_index else DOCKER_CONFIG)
    assert manifest.annotations == {}


def test_a_repeated_layer_is_required_once_and_counts_as_often_as_it_is_listed():
    manifest = read(image(layers=[descriptor(2), descriptor(3), descriptor(2)]))

    assert len(manifest.layers) == 3
    assert manifest.required_layers == digests(1, 2, 3)
    assert manifest.size == 307


@pytest.mark.parametrize(
    "foreign",
    [
        *(descriptor(2, media_type) for media_type in sorted(FOREIGN_LAYER_TYPES)),
        descriptor(2, urls=["https://example.com/layer"]),
    ],
)
def test_a_foreign_layer_is_not_required_but_is_known(foreign):
    manifest = read(image(layers=[foreign, descriptor(3)]))

    assert manifest.layers[0].foreign
    assert manifest.required_layers == digests(1, 3)
    assert digests(2)[0] in {blob.digest for blob in manifest.blobs}
    assert manifest.size == 107


def test_a_layer_that_is_foreign_in_one_place_and_not_in_another_is_required():
    manifest = read(image(layers=[descriptor(2, OCI_FOREIGN_LAYER_GZIP), descriptor(2)]))

    assert manifest.required_layers == digests(1, 2)


def test_a_config_is_required_even_if_it_names_other_places():
    manifest = read(image(config=descriptor(1, OCI_CONFIG, 7, urls=["https://example.com/c"])))

    assert manifest.required_layers == digests(1, 2, 3)
    assert manifest.size == 207


def test_the_urls_of_a_layer_are_read():
    layer = descriptor(
        2, DOCKER_FOREIGN_LAYER_GZIP, urls=["https://a.example", "https://b.example"]
    )

    assert read(docker_image(layers=[layer])).layers[0].urls == (
        "https://a.example",
        "https://b.example",
    )


def test_the_older_cache_export_of_buildkit_refers_to_blobs():
    cache = index(
        manifests=[
            descriptor(2),
            descriptor(11, OCI_MANIFEST),
            descriptor(3, "application/vnd.buildkit.cacheconfig.v0"),
        ]
    )

    manifest = read(cache, rules=OCI_RULES)

    assert manifest.required_images == digests(11)
    assert manifest.required_layers == digests(2, 3)


def test_the_digest_can_be_a_sha512():
    content = encoded(image())

    manifest = parse(content, None, OCI_RULES, algorithm="sha512")

    assert manifest.digest == Digest("sha512", hashlib.sha512(content).hexdigest())


def test_facts_cannot_be_changed():
    manifest = read(image(annotations={"a": "b"}))

    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.media_type = OCI_INDEX
    with pytest.raises(TypeError):
        manifest.annotations["a"] = "c"
    assert hash(manifest) == hash(read(image(annotations={"a": "b"})))


BOTH_TAKE = {
    "an artifact": artifact(),
    "an artifact whose only layer is the empty one": artifact(layers=[descriptor(2, OCI_EMPTY, 2)]),
    "an image as a referrer": image(subject=descriptor(9, OCI_MANIFEST)),
    "an index as a referrer": index(subject=descriptor(9, OCI_INDEX)),
    "an index of nothing": index(manifests=[]),
    "an index of null, as containers/storage writes it": docker_list(manifests=None),
    "a list of OCI images": docker_list(manifests=[descriptor(11, OCI_MANIFEST)]),
    "embedded data": image(config=descriptor(1, OCI_CONFIG, 2, data="e30=")),
    "an unknown member": image(**{"org.example": [1.5, {"a": None}, True, -1]}),
    "an unknown member of a descriptor": image(layers=[descriptor(2, newField="aGVsbG8=")]),
    "an unknown member that looks like an unknown other": image(abc=1, ABC=2),
    "null for what is optional": image(annotations=None, subject=None, artifactType=None),
    "null in a descriptor": image(layers=[descriptor(2, urls=None, annotations=None, data=None)]),
    "empty strings for what is optional": image(artifactType=""),
    "no urls": image(layers=[descriptor(2, urls=[])]),
    "an unknown config": image(config=descriptor(1, "application/vnd.docker.plugin.v1+json")),
    "an unknown layer": image(layers=[descriptor(2, "application/vnd.example+zstd; version=1")]),
    "a layer of zero bytes": image(layers=[descriptor(2, size=0)]),
    "the largest size": image(config=descriptor(1, size=0), layers=[descriptor(2, size=MAX_SIZE)]),
    "foreign layers of any size": image(
        layers=[descriptor(2, size=5), descriptor(3, OCI_FOREIGN_LAYER_GZIP, MAX_SIZE)]
    ),
    "annotations of a descriptor": image(layers=[descriptor(2, annotations={"a": "b"})]),
    "any character in an annotation": image(annotations={"\x00": "\U0001f433 é"}),
    "brackets and quotes in a string": image(annotations={'\\"[{': "[" * 500 + '\\"\\\\'}),
    "the deepest nesting": image(x=json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))),
    "the most layers": image(layers=[descriptor(2)] * MAX_DESCRIPTORS),
    "a zero with a sign": encoded(image()).replace(b'"size": 7', b'"size": -0'),
    "a number beyond any float": encoded(image(x=0)).replace(b'"x": 0', b'"x": 1e999'),
    "any JSON whitespace": b"\r\n\t " + json.dumps(image(), indent=3).encode() + b"\n",
}


@pytest.mark.parametrize("rules", [ECR_RULES, OCI_RULES], ids=["ecr", "oci"])
@pytest.mark.parametrize("document", BOTH_TAKE.values(), ids=BOTH_TAKE)
def test_both_dialects_take(document, rules):
    assert read(document, rules=rules).media_type in MANIFEST_TYPES


ONLY_OCI_TAKES = {
    "an image of no layers": (image(layers=[]), "the image has no layers", NO_LAYER),
    "an image of null layers": (image(layers=None), "the image has no layers", NO_LAYER),
    "an artifact of no layers": (artifact(layers=[]), "the image has no layers", NO_LAYER),
    "a Docker image of no layers": (
        docker_image(layers=[]),
        "the image has no layers",
        NO_LAYER,
    ),
    "an index of blobs": (index(manifests=[descriptor(2)]), "isn't a manifest", CATCH_ALL),
    "a list of schema 1 images": (
        docker_list(
            manifests=[descriptor(2, "application/vnd.docker.distribution.manifest.v1+json")]
        ),
        "isn't a manifest",
        CATCH_ALL,
    ),
    "a sha512 config": (
        image(config={**descriptor(1, OCI_CONFIG), "digest": sha512(1)}),
        "config.digest is a sha512",
        CATCH_ALL,
    ),
    "a sha512 layer": (
        image(layers=[descriptor(2), {**descriptor(1), "digest": sha512(1)}]),
        "layers[1].digest is a sha512",
        CATCH_ALL,
    ),
    "a sha512 child": (
        index(manifests=[{**descriptor(1, OCI_MANIFEST), "digest": sha512(1)}]),
        "manifests[0].digest is a sha512",
        CATCH_ALL,
    ),
    "a sha512 subject": (
        image(subject={**descriptor(1, OCI_MANIFEST), "digest": sha512(1)}),
        "subject.digest is a sha512",
        CATCH_ALL,
    ),
}


@pytest.mark.parametrize(
    ("document", "reason", "message"), ONLY_OCI_TAKES.values(), ids=ONLY_OCI_TAKES
)
def test_only_the_oci_dialect_takes(document, reason, message):
    assert read(document, rules=OCI_RULES).media_type in MANIFEST_TYPES

    with pytest.raises(InvalidManifest) as refusal:
        read(document, rules=ECR_RULES)
    assert reason in refusal.value.reason
    assert refusal.value.message == message


# --- What kind it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/octet-stream",
        OCI_MANIFEST,
        OCI_MANIFEST.upper(),
        f" {OCI_MANIFEST} ; charset=utf-8",
    ],
)
def test_a_declaration_that_agrees_or_says_nothing_is_fine(declared):
    assert read(image(), declared).media_type == OCI_MANIFEST


@pytest.mark.parametrize("own", [ABSENT, None, ""])
@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (image(), OCI_MANIFEST),
        (image(), DOCKER_MANIFEST),
        (index(), OCI_INDEX),
        (index(), DOCKER_LIST),
    ],
)
def test_what_a_document_does_not_say_the_request_may(document, media_type, own):
    manifest = read(changed(document, {"mediaType": own}), f"{media_type.upper()};a=b")

    assert manifest.media_type == media_type
    assert manifest.is_index == (media_type in INDEX_TYPES)


@pytest.mark.parametrize(
    ("own", "declared"),
    [
        (OCI_MANIFEST, DOCKER_MANIFEST),
        (OCI_MANIFEST, OCI_INDEX),
        (OCI_MANIFEST, "text/plain"),
        (DOCKER_MANIFEST, OCI_MANIFEST),
    ],
)
def test_a_declaration_that_disagrees_is_refused(own, declared):
    with pytest.raises(InvalidManifest, match="Invalid JSON syntax") as refusal:
        read(image(mediaType=own), declared)
    assert own in refusal.value.reason
    assert declared in refusal.value.reason


@pytest.mark.parametrize("declared", [None, "", "application/json", "application/octet-stream"])
def test_a_document_of_which_nobody_says_what_it_is_is_refused(declared):
    with pytest.raises(InvalidManifest) as refusal:
        read(image(mediaType=ABSENT), declared)
    assert refusal.value.reason == "neither the document nor the request says its media type"


V1 = "application/vnd.docker.distribution.manifest.v1"


@pytest.mark.parametrize(
    ("document", "declared"),
    [
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, None),
        ({"schemaVersion": 1, "fsLayers": []}, f"{V1}+prettyjws"),
        ({"schemaVersion": 1}, "application/json"),
        ({}, f"{V1}+json"),
        ({}, f"{V1}+PrettyJWS; charset=utf-8"),
        (image(mediaType=f"{V1}+prettyjws"), None),
        (image(fsLayers=[]), OCI_MANIFEST),
    ],
)
def test_schema_1_is_refused_by_its_name(document, declared):
    with pytest.raises(InvalidManifest) as refusal:
        read(document, declared)
    assert refusal.value.reason.startswith("schema 1 manifests are no longer supported")
    assert refusal.value.message == CATCH_ALL


# --- What is refused ----------------------------------------------------------------------------

REFUSED = {
    "nothing": (b"", "isn't JSON"),
    "no JSON": (b"blablabla", "isn't JSON: Expecting value at line 1, column 1"),
    "JSON that was cut off": (encoded(image())[:-1], "isn't JSON"),
    "two documents": (encoded(image()) * 2, "isn't JSON: Extra data"),
    "a byte order mark": (b"\xef\xbb\xbf" + encoded(image()), "isn't JSON"),
    "another encoding": (json.dumps(image(x="é"), ensure_ascii=False).encode("latin-1"), "UTF-8"),
    "UTF-16": (json.dumps(image()).encode("utf-16"), "UTF-8"),
    "an array": ([image()], "the document isn't an object"),
    "a string": (b'"manifest"', "the document isn't an object"),
    "null": (b"null", "the document isn't an object"),
    "NaN": (image(x=float("nan")), "NaN isn't a number"),
    "infinity": (image(x=[float("-inf")]), "-Infinity isn't a number"),
    "a number without end": (image(x=10**200), "more than 100 digits"),
    "deep arrays": (b"[" * 100_000 + b"]" * 100_000, "deeper than 32 levels"),
    "deep arrays without end": (b"[" * 4_000_000, "deeper than 32 levels"),
    "deep objects": (b'{"a":' * 100_000, "deeper than 32 levels"),
    "deep and nearly right": (
        image(x=json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        "deeper than 32 levels",
    ),
    "too many bytes": (encoded(image()) + b" " * 4_194_304, "larger than 4194304 bytes"),
    "a member twice": (
        encoded(image())[:-1] + b', "layers": []}',
        "'layers' stands twice",
    ),
    "a member twice, by an escape": (
        encoded(image())[:-1] + b', "l\\u0061yers": []}',
        "'layers' stands twice",
    ),
    "a member twice, deep": (
        encoded(image())[:-1] + b', "x": [{"a": 1, "b": 2, "a": 1}]}',
        "'a' stands twice",
    ),
    "a member in another case": (image(Layers=[]), "'Layers', which many read as 'layers'"),
    "a member in another alphabet": (
        {**image(), "layer\u017f": []},
        "which many read as 'layers'",
    ),
    "a member of a descriptor in another case": (
        image(layers=[descriptor(2, Digest=sha256(9))]),
        "layers[0] has 'Digest', which many read as 'digest'",
    ),
    "both kinds of list": (image(manifests=[]), "both 'manifests' and 'layers'"),
    "both kinds of list, one null": (image(manifests=None), "both 'manifests' and 'layers'"),
    "an index with a config": (index(config=descriptor(1)), "both 'manifests' and 'config'"),
    "an index with schema 1 layers": (index(fsLayers=[]), "both 'manifests' and 'fsLayers'"),
    "an unknown type": (
        image(mediaType="application/vnd.oci.artifact.manifest.v1+json"),
        "isn't the media type of a manifest",
    ),
    "a type in another case": (
        image(mediaType=OCI_MANIFEST.upper()),
        "isn't the media type of a manifest",
    ),
    "a type with a parameter": (
        image(mediaType=f"{OCI_MANIFEST}; charset=utf-8"),
        "isn't the media type of a manifest",
    ),
    "a type that isn't a string": (image(mediaType=[OCI_MANIFEST]), "mediaType isn't a string"),
    "a type with a line break": (image(mediaType=f"{OCI_MANIFEST}\n"), "isn't a media type"),
    "no schemaVersion": (image(schemaVersion=ABSENT), "schemaVersion is missing"),
    "another schemaVersion": (image(schemaVersion=3), "schemaVersion isn't 2"),
    "a schemaVersion in words": (image(schemaVersion="2"), "schemaVersion isn't an integer"),
    "a broken schemaVersion": (image(schemaVersion=2.0), "schemaVersion isn't an integer"),
    "no config": (image(config=ABSENT), "config is missing"),
    "null for a config": (image(config=None), "config is missing"),
    "a config that isn't a descriptor": (image(config=[]), "config isn't an object"),
    "no layers": (image(layers=ABSENT), "layers is missing"),
    "layers that aren't a list": (image(layers={"a": 1}), "layers isn't an array"),
    "a layer that isn't a descriptor": (
        image(layers=[descriptor(2), sha256(3)]),
        "layers[1] isn't an object",
    ),
    "a layer of null": (image(layers=[None]), "layers[0] isn't an object"),
    "more layers than the most": (
        image(layers=[{}] * (MAX_DESCRIPTORS + 1)),
        "layers lists more than 10000 descriptors",
    ),
    "no children": (index(manifests=ABSENT), "manifests is missing"),
    "an image that says it's an index": (image(mediaType=OCI_INDEX), "manifests is missing"),
    "an index that says it's an image": (
        changed(index(mediaType=OCI_MANIFEST), {"manifests": ABSENT}),
        "config is missing",
    ),
    "a subject that isn't a descriptor": (image(subject=sha256(9)), "subject isn't an object"),
    "a subject without a digest": (
        image(subject={"mediaType": OCI_MANIFEST, "size": 1}),
        "subject.digest is missing",
    ),
    "an empty config without an artifact type": (
        artifact(artifactType=ABSENT),
        "artifactType is missing",
    ),
    "an empty config with an empty artifact type": (
        artifact(artifactType=""),
        "artifactType is missing",
    ),
    "an artifact type that isn't a string": (artifact(artifactType=7), "isn't a string"),
    "an artifact type with a control character": (
        artifact(artifactType="a/b\x00"),
        "artifactType isn't a media type",
    ),
    "an artifact type longer than ECR's": (artifact(artifactType="a" * 256), "isn't a media type"),
    "annotations that aren't a map": (image(annotations=["a"]), "annotations isn't an object"),
    "an annotation that isn't a string": (
        image(annotations={"a": "b", "c": 1}),
        "annotations['c'] isn't a string",
    ),
    "an annotation of null": (index(annotations={"a": None}), "annotations['a'] isn't a string"),
    "half a character in an annotation": (image(annotations={"a": "\ud83d"}), "surrogate"),
    "half a character in a key": (image(annotations={"\udc33": "a"}), "surrogate"),
    "half a character anywhere": (image(x=[{"y": ["\ud83d"]}]), "surrogate"),
    "layers of too many bytes together": (
        image(layers=[descriptor(2, size=MAX_SIZE)]),
        "add up to more than 2^63 - 1 bytes",
    ),
}


@pytest.mark.parametrize(("document", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_document_is_refused_for(document, reason):
    with pytest.raises(InvalidManifest) as refusal:
        read(document)
    assert reason in refusal.value.reason
    assert refusal.value.message == CATCH_ALL
    assert refusal.value.code == "InvalidParameterException"
    assert isinstance(refusal.value, InvalidParameter)


REFUSED_IN_A_DESCRIPTOR = {
    "no media type": ({"mediaType": ABSENT}, "mediaType is missing"),
    "an empty media type": ({"mediaType": ""}, "mediaType is missing"),
    "a media type that isn't a string": ({"mediaType": 1}, "mediaType isn't a string"),
    "a media type in another alphabet": ({"mediaType": "é/é"}, "mediaType isn't a media type"),
    "no digest": ({"digest": ABSENT}, "digest is missing"),
    "a digest that isn't a string": ({"digest": 1}, "digest isn't a string"),
    "a digest in capitals": ({"digest": sha256(0xA).upper()}, "digest is not a digest"),
    "half a digest": ({"digest": sha256(1)[:-1]}, "digest is not a digest"),
    "a digest that is a path": ({"digest": "sha256:../../etc/passwd"}, "digest is not a digest"),
    "an unknown algorithm": ({"digest": f"blake3:{1:064x}"}, "digest is not a digest"),
    "no size": ({"size": ABSENT}, "size is missing"),
    "null for a size": ({"size": None}, "size is missing"),
    "a size in words": ({"size": "1"}, "size isn't an integer"),
    "a boolean size": ({"size": True}, "size isn't an integer"),
    "a broken size": ({"size": 1.0}, "size isn't an integer"),
    "a negative size": ({"size": -1}, "size isn't between 0 and 2^63 - 1"),
    "a size over 63 bits": ({"size": MAX_SIZE + 1}, "size isn't between 0 and 2^63 - 1"),
    "urls that aren't a list": ({"urls": "https://example.com"}, "urls isn't an array"),
    "a url that isn't a string": ({"urls": ["a", 1]}, "urls[1] isn't a string"),
    "annotations that aren't a map": ({"annotations": "a"}, "annotations isn't an object"),
    "an annotation that isn't a string": (
        {"annotations": {"a": []}},
        "annotations['a'] isn't a string",
    ),
    "data that isn't a string": ({"data": [101]}, "data isn't a string"),
    "a platform that isn't an object": ({"platform": "linux/amd64"}, "platform isn't an object"),
    "an artifact type that isn't a string": ({"artifactType": {}}, "artifactType isn't a string"),
}


@pytest.mark.parametrize("where", ["config", "layers[0]", "manifests[0]", "subject"])
@pytest.mark.parametrize(
    ("changes", "reason"), REFUSED_IN_A_DESCRIPTOR.values(), ids=REFUSED_IN_A_DESCRIPTOR
)
def test_a_descriptor_is_refused_for(where, changes, reason):
    broken = changed(descriptor(1, OCI_MANIFEST), changes)
    document = {
        "config": image(config=broken),
        "layers[0]": image(layers=[broken]),
        "manifests[0]": index(manifests=[broken]),
        "subject": index(subject=broken),
    }[where]

    with pytest.raises(InvalidManifest) as refusal:
        read(document)
    assert f"{where}.{reason}" in refusal.value.reason


def test_a_refusal_of_buildkits_older_cache_export_says_what_helps():
    cache = index(manifests=[descriptor(2)])

    with pytest.raises(InvalidManifest) as refusal:
        read(cache, rules=ECR_RULES)
    assert "image-manifest=true" in refusal.value.reason


def test_a_reason_stays_short_and_printable_whatever_was_sent():
    with pytest.raises(InvalidManifest) as refusal:
        read(image(mediaType="\x1b[31mé\ud83d" * 100_000))
    assert len(refusal.value.reason) < 2_000
    assert refusal.value.reason.isascii()
    assert refusal.value.reason.isprintable()


def test_the_largest_manifest_is_the_operators_to_choose():
    content = encoded(image())

    assert parse(content, None, ManifestRules(max_bytes=len(content)))
    with pytest.raises(InvalidManifest, match="Invalid JSON syntax"):
        parse(content, None, ManifestRules(max_bytes=len(content) - 1))
