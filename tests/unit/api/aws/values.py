"""Values of every shape, by botocore's own view of a service's model."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Beyond 2096 botocore's reading of a fraction is off by a microsecond.
_MOMENTS = st.integers(0, 4_000_000_000_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms))
_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@cache
def values_of(
    shape,
    moments: st.SearchStrategy[datetime] = _MOMENTS,
    characters: st.SearchStrategy[str] = _CHARACTERS,
) -> st.SearchStrategy:
    """Return what a shape's values are drawn from.

    Args:
        shape: of botocore's.
        moments: of timestamps.
        characters: of texts without a pattern.
    """
    further = moments, characters
    if shape.type_name == "structure":
        members = {name: values_of(part, *further) for name, part in shape.members.items()}
        required = {name: members.pop(name) for name in shape.required_members}
        return st.fixed_dictionaries(required, optional=members)
    least = shape.metadata.get("min", 0)
    if shape.type_name == "list":
        return st.lists(values_of(shape.member, *further), min_size=least, max_size=least + 2)
    if shape.type_name == "map":
        return st.dictionaries(
            values_of(shape.key, *further), values_of(shape.value, *further), max_size=2
        )
    if shape.type_name == "timestamp":
        return moments
    return _strings_of(shape, characters) if shape.type_name == "string" else _scalars_of(shape)


def _scalars_of(shape) -> st.SearchStrategy:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    return {
        "integer": st.integers(-(2**31) if least is None else least, most or 2**31 - 1),
        "long": st.integers(-(2**63) if least is None else least, most or 2**63 - 1),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "blob": st.binary(max_size=100),
    }[shape.type_name]


def _strings_of(shape, characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    least = 1 if shape.name == "TagKey" else shape.metadata.get("min", 0)
    most = shape.metadata.get("max", 1000)
    if "pattern" not in shape.metadata:
        return st.text(characters, min_size=least, max_size=min(most, least + 20))
    if r"\p{" in shape.metadata["pattern"]:
        letters = st.characters(categories=["L", "Z", "N"])
        return st.text(letters, min_size=least, max_size=min(most, 20))
    pattern = re.compile(shape.metadata["pattern"], re.ASCII)
    return st.from_regex(pattern, fullmatch=True).filter(
        lambda text: least <= len(text) <= most and pattern.fullmatch(text)
    )
