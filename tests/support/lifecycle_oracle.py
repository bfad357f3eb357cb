"""What a lifecycle policy does, thought out a second time: slowly, and from the text alone.

It follows the user guide's sentences one by one over the whole list of images and shares nothing
with `longshore.registry.lifecycle_rules` but the form of an image's facts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from longshore.registry.lifecycle_rules import Image

DAY = 24 * 60 * 60 * 1000

Outcome = tuple[str, int]


def outcomes(text: str, images: Collection[Image], now: int) -> dict[int, Outcome]:
    """Return, by the ids of images, what is done to them and by the rule of which priority."""
    marks = _marks(json.loads(text)["rules"], images, now)
    by_id = {image.id: image for image in images}
    done: dict[int, Outcome] = {}
    while True:
        more = {}
        for image in images:
            if image.id in done:
                continue
            follows = image.subject is not None and image.subject in by_id
            outcome = done.get(image.subject or 0) if follows else marks.get(image.id)
            if outcome is None or (outcome[0] == "transition" and image.storage_class == "ARCHIVE"):
                continue
            if all(_lets_go(by_id.get(each), done.get(each), outcome[0]) for each in image.parents):
                more[image.id] = outcome
        if not more:
            return done
        done |= more


def _lets_go(parent: Image | None, done: Outcome | None, action: str) -> bool:
    """Tell whether an index lets its image go: it goes itself, or the archive takes both."""
    if parent is None:
        return False
    if action == "expire":
        return done is not None and done[0] == "expire"
    return done is not None or parent.storage_class == "ARCHIVE"


def _marks(
    rules: Sequence[dict[str, Any]], images: Collection[Image], now: int
) -> dict[int, Outcome]:
    ids = {image.id for image in images}
    # Referrers are nobody's candidates.
    ordinary = [image for image in images if image.subject not in ids]
    youngest_first = sorted(ordinary, key=lambda image: (_age_from(image), image.id), reverse=True)
    marks: dict[int, Outcome] = {}
    seen: set[int] = set()
    for rule in sorted(rules, key=lambda rule: rule["rulePriority"]):
        candidates = [image for image in youngest_first if _selects(rule["selection"], image)]
        for image in _marked(rule["selection"], candidates, now):
            if image.id not in seen:
                marks[image.id] = (rule["action"]["type"], rule["rulePriority"])
        seen |= {image.id for image in candidates}
    return marks


def _selects(selection: dict[str, Any], image: Image) -> bool:
    if image.storage_class != selection.get("storageClass", "standard").upper():
        return False
    if selection["tagStatus"] == "untagged":
        return image.tags == ()
    wanted = [f"{re.escape(prefix)}.*" for prefix in selection.get("tagPrefixList", ())]
    wanted += [
        re.escape(pattern).replace(r"\*", ".*") for pattern in selection.get("tagPatternList", ())
    ]
    return all(any(re.fullmatch(each, tag) for tag in image.tags) for each in wanted)


def _marked(selection: dict[str, Any], candidates: Sequence[Image], now: int) -> Sequence[Image]:
    number = selection["countNumber"]
    match selection["countType"]:
        case "imageCountMoreThan":
            return candidates[number:]
        case "sinceImagePushed":
            times = {image.id: _age_from(image) for image in candidates}
        case "sinceImagePulled":
            times = {image.id: _used_at(image) for image in candidates}
        case _:
            times = {
                image.id: image.archived_at for image in candidates if image.archived_at is not None
            }
    return [
        image for image in candidates if image.id in times and times[image.id] < now - number * DAY
    ]


def _age_from(image: Image) -> int:
    return image.activated_at if image.activated_at is not None else image.pushed_at


def _used_at(image: Image) -> int:
    if image.last_pulled_at is None:
        return _age_from(image)
    if image.activated_at is not None and image.activated_at > image.last_pulled_at:
        return image.activated_at
    return image.last_pulled_at
