from __future__ import annotations

import pytest

from longshore.api.oci import routes
from longshore.api.oci.errors import InvalidName, RouteNotFound
from longshore.api.oci.routes import find_route


@pytest.mark.parametrize("path", ["/v2/a b/manifests/1", "/v2/nowhere"])
def test_what_is_refused_is_refused_again(path: str) -> None:
    for _ in range(2):
        with pytest.raises((InvalidName, RouteNotFound)):
            find_route("GET", path)


def test_of_paths_that_anybody_may_send_no_long_ones_are_remembered() -> None:
    before = routes._find_or_recall.cache_info().currsize
    for number in range(10):
        tag = f"{number}" + "x" * 60_000
        assert find_route("GET", f"/v2/demo/app/manifests/{tag}")[1:] == ("demo/app", tag)
    assert routes._find_or_recall.cache_info().currsize == before
