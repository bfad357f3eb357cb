from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.documents import MalformedDocument, read_object
from longshore.names import Digest
from longshore.registry.manifest_conversion import convert
from longshore.registry.manifests import (
    ECR_RULES,
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
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    SCHEMA_1_TYPES,
    bare_media_type,
)

CONVERTIBLE = {
    DOCKER_MANIFEST: (OCI_MANIFEST, DOCKER_CONFIG, [DOCKER_LAYER, DOCKER_LAYER_GZIP]),
    OCI_MANIFEST: (DOCKER_MANIFEST, OCI_CONFIG, [OCI_LAYER, OCI_LAYER_GZIP]),
}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
digests = st.builds(lambda number: Digest("sha256", f"{number:064x}"), st.integers(0, 2**256 - 1))
long_digests = st.builds(
    lambda number: Digest("sha512", f"{number:0128x}"), st.integers(0, 2**512 - 1)
)
sizes = st.integers(0, 2**40)
some_annotations = st.dictionaries(text, text, max_size=3)
types = st.sampled_from(
    [
        OCI_CONFIG,
        OCI_LAYER_GZIP,
        OCI_LAYER_ZSTD,
        OCI_FOREIGN_LAYER_GZIP,
        OCI_EMPTY,
        DOCKER_CONFIG,
        DOCKER_LAYER_GZIP,
        DOCKER_FOREIGN_LAYER_GZIP,
        "application/x; a=b",
        "text",
    ]
)


def descriptors(media_types: st.SearchStrategy[str]) -> st.SearchStrategy[Descriptor]:
    return st.builds(
        Descriptor,
        media_types,
        digests,
        sizes,
        st.lists(text, max_size=2).map(tuple),
    )


def images() -> st.SearchStrategy[Manifest]:
    def with_artifact_type(manifest: Manifest, artifact_type: str) -> Manifest:
        return Manifest(
            media_type=manifest.media_type,
            digest=manifest.digest,
            config=manifest.config,
            layers=manifest.layers,
            subject=manifest.subject,
            artifact_type=artifact_type,
            annotations=manifest.annotations,
        )

    bare = st.builds(
        Manifest,
        media_type=st.just(OCI_MANIFEST),
        digest=digests,
        config=descriptors(types),
        layers=st.lists(descriptors(types), min_size=1, max_size=4).map(tuple),
        subject=st.none() | descriptors(st.sampled_from(sorted(MANIFEST_TYPES))),
        annotations=some_annotations,
    )
    return st.builds(with_artifact_type, bare, types)


def indexes() -> st.SearchStrategy[Manifest]:
    return st.builds(
        Manifest,
        media_type=st.just(OCI_INDEX),
        digest=digests,
        children=st.lists(descriptors(st.sampled_from(sorted(MANIFEST_TYPES))), max_size=4).map(
            tuple
        ),
        subject=st.none() | descriptors(st.just(OCI_INDEX)),
        artifact_type=st.none() | types,
        annotations=some_annotations,
    )


def as_json(descriptor: Descriptor) -> dict[str, Any]:
    document: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    return document | ({"urls": list(descriptor.urls)} if descriptor.urls else {})


def as_document(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": manifest.media_type}
    if manifest.config is None:
        document["manifests"] = [as_json(child) for child in manifest.children]
    else:
        document["config"] = as_json(manifest.config)
        document["layers"] = [as_json(layer) for layer in manifest.layers]
    if manifest.subject is not None:
        document["subject"] = as_json(manifest.subject)
    if manifest.artifact_type is not None:
        document["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        document["annotations"] = dict(manifest.annotations)
    return document


@st.composite
def written(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """Write `document` in one of the many ways to write it."""
    members = draw(st.permutations(sorted(document.items())))
    return json.dumps(
        dict(members),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 3, "\t"])),
    ).encode()


plain_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text | types,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
json_values = plain_json_values | st.floats() | st.text(max_size=8)
names = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "fsLayers",
        "subject",
        "annotations",
        "digest",
        "size",
        "urls",
        "data",
        "platform",
        "Layers",
    ]
)
likely_values = st.recursive(
    json_values | st.sampled_from([1, 2, *sorted(MANIFEST_TYPES)]) | digests.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=20,
)
declarations = (
    st.none()
    | st.sampled_from([*sorted(MANIFEST_TYPES | SCHEMA_1_TYPES), "application/json"])
    | st.text(max_size=12)
)


@st.composite
def with_one_value_replaced(draw: st.DrawFn) -> bytes:
    """Draw a valid manifest in which one value, however deep, is another than it should be."""
    document = as_document(draw(images() | indexes()))
    container: Any = document
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = draw(st.sampled_from(keys))
        inner = container[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            container[key] = draw(likely_values)
            return json.dumps(document).encode()
        container = inner


@st.composite
def with_bytes_replaced(draw: st.DrawFn) -> bytes:
    content = json.dumps(as_document(draw(images() | indexes()))).encode()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(start + 20, len(content))))
    return content[:start] + draw(st.binary(max_size=8)) + content[end:]


def attempt(
    content: bytes, declared: str | None, rules: ManifestRules
) -> Manifest | InvalidManifest:
    try:
        return parse(content, declared, rules)
    except InvalidManifest as refusal:
        return refusal


def read_or_refused(content: bytes, declared: str | None) -> Manifest | None:
    """Read with both dialects: what ECR takes, OCI takes for the same."""
    ecr, oci = (attempt(content, declared, rules) for rules in (ECR_RULES, OCI_RULES))
    if isinstance(oci, InvalidManifest):
        assert isinstance(ecr, InvalidManifest)
        assert oci.reason.isprintable()
        assert len(oci.reason) < 2_000
        return None
    assert isinstance(ecr, InvalidManifest) or ecr == oci
    return oci


def check(manifest: Manifest, content: bytes, declared: str | None) -> None:
    """Check what holds of every manifest, whoever wrote it."""
    assert manifest.digest == Digest.of(content)
    assert manifest.is_index == (manifest.config is None) == (manifest.size is None)
    assert manifest.media_type in MANIFEST_TYPES
    assert manifest.media_type in (
        json.loads(content).get("mediaType"),
        bare_media_type(declared or ""),
    )
    assert (manifest.media_type in INDEX_TYPES) == ("manifests" in json.loads(content))
    assert 0 <= (manifest.size or 0) <= MAX_SIZE
    assert len(set(manifest.required_layers)) == len(manifest.required_layers)
    assert set(manifest.required_layers) <= {blob.digest for blob in manifest.blobs}
    json.dumps(dict(manifest.annotations), ensure_ascii=False).encode()
    convert(manifest, [OCI_MANIFEST])
    convert(manifest, [DOCKER_MANIFEST])


@settings(deadline=None)
@given(st.data(), images() | indexes())
def test_a_valid_manifest_is_read_as_it_was_meant(data, meant):
    content = data.draw(written(as_document(meant)))

    manifest = read_or_refused(content, data.draw(st.sampled_from([None, meant.media_type])))

    assert manifest is not None
    assert manifest == Manifest(
        media_type=meant.media_type,
        digest=Digest.of(content),
        config=meant.config,
        layers=meant.layers,
        children=meant.children,
        subject=meant.subject,
        artifact_type=meant.artifact_type,
        annotations=meant.annotations,
    )
    check(manifest, content, None)


@settings(deadline=None)
@given(long_digests, indexes())
def test_a_sha512_is_read_by_one_dialect_only(digest, index):
    document = as_document(index)
    document["manifests"].append(as_json(Descriptor(OCI_MANIFEST, digest, 1)))
    content = json.dumps(document).encode()

    assert parse(content, None, OCI_RULES).required_images[-1] == digest
    with pytest.raises(InvalidManifest):
        parse(content, None, ECR_RULES)


@settings(deadline=None)
@given(st.binary(max_size=400), declarations)
def test_any_bytes_are_read_or_refused(content, declared):
    manifest = read_or_refused(content, declared)
    if manifest is not None:
        check(manifest, content, declared)


ABSURD = {
    "arrays": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "both": b'{"layers":' + b"[{" * 100_000 + b"}]" * 100_000 + b"}",
    "quotes": b'"' * 100_001,
    "backslashes": b'{"' + b"\\" * 100_001,
    "an integer": b'{"size": ' + b"9" * 1_000_000 + b"}",
    "an exponent": b'{"size": 1e' + b"9" * 1_000_000 + b"}",
    "a fraction": b'{"size": 0.' + b"9" * 1_000_000 + b"}",
    "members": b"{" + b"".join(b'"%d":[],' % number for number in range(200_000)) + b'"a":0}',
    "elements": b'{"layers": [' + b"{}," * 1_000_000 + b"{}]}",
    "annotations": b'{"annotations": {' + b'"a":"",' * 200_000 + b'"a":""}}',
    "escapes": b'{"a": "' + b"\\u0061" * 600_000 + b'"}',
    "whitespace": b" " * 4_000_000,
    "UTF-16": b"\xff\xfe{\x00}\x00",
    "NUL": b"\x00" * 4_000_000,
}


@pytest.mark.parametrize("content", ABSURD.values(), ids=ABSURD)
def test_an_absurd_document_is_refused(content):
    assert read_or_refused(content, OCI_MANIFEST) is None


@settings(deadline=None)
@given(likely_values, declarations)
def test_any_json_is_read_or_refused(document, declared):
    content = json.dumps(document).encode()

    manifest = read_or_refused(content, declared)
    if manifest is not None:
        check(manifest, content, declared)


@settings(deadline=None)
@given(with_one_value_replaced() | with_bytes_replaced(), declarations)
def test_a_spoiled_manifest_is_read_or_refused(content, declared):
    manifest = read_or_refused(content, declared)
    if manifest is not None:
        check(manifest, content, declared)


@settings(deadline=None)
@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()))
def test_a_document_that_is_read_is_what_any_parser_reads(content):
    try:
        document = read_object(content, max_depth=50)
    except MalformedDocument:
        return
    assert document == json.loads(content)


@settings(deadline=None)
@given(st.dictionaries(text, plain_json_values))
def test_the_depth_of_a_document_is_what_it_is(document):
    def depth(value: object) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    content = json.dumps(document).encode()
    with pytest.raises(MalformedDocument, match="deeper than"):
        read_object(content, max_depth=depth(document) - 1)
    assert read_object(content, max_depth=depth(document)) == document


@st.composite
def plain_images(draw: st.DrawFn) -> Manifest:
    media_type = draw(st.sampled_from(sorted(CONVERTIBLE)))
    _, config_type, layer_types = CONVERTIBLE[media_type]
    config = draw(descriptors(st.just(config_type)))
    layers = draw(st.lists(descriptors(st.sampled_from(layer_types)), min_size=1, max_size=5))
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": as_json(config),
        "layers": [as_json(layer) for layer in layers],
    }
    content = draw(written(document))
    return parse(content, None, ECR_RULES)


def shape(manifest: Manifest) -> object:
    return [(blob.digest, blob.size, blob.urls) for blob in manifest.blobs]


@settings(deadline=None)
@given(plain_images())
def test_a_converted_image_is_the_same_there_and_back(stored):
    other_type = CONVERTIBLE[stored.media_type][0]

    there = convert(stored, [other_type, DOCKER_LIST])
    assert there is not None
    other = parse(*there, ECR_RULES)
    back = convert(other, [stored.media_type])
    assert back is not None
    again = parse(*back, ECR_RULES)

    assert shape(other) == shape(again) == shape(stored)
    assert [blob.media_type for blob in again.blobs] == [blob.media_type for blob in stored.blobs]
    assert convert(again, [other_type]) == there
