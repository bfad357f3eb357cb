from __future__ import annotations

import hashlib
from itertools import islice

import pytest

from bench.content import KIB, MIB, FreshBodies, blob, large_image, small_image


@pytest.mark.parametrize("size", [KIB, MIB, 3 * MIB + 5])
def test_fresh_bodies_differ_and_have_the_digests_they_claim(size: int) -> None:
    bodies = list(islice(FreshBodies(size), 3))
    assert len({body.digest for body in bodies}) == 3
    for body in bodies:
        whole = b"".join(body.pieces)
        assert len(whole) == body.size == size
        assert body.digest == f"sha256:{hashlib.sha256(whole).hexdigest()}"


@pytest.mark.parametrize("size", [1, KIB, 2 * MIB + 1])
def test_a_blob_is_the_same_each_time(size: int) -> None:
    assert len(blob(size).content) == size
    assert blob(size).digest == blob(size).digest


def test_manifests_have_the_sizes_that_their_rows_say() -> None:
    assert len(small_image("x").manifest) < KIB
    assert len(large_image("x").manifest) >= 256 * KIB
