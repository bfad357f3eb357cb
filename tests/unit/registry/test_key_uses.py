from __future__ import annotations

import itertools
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.clock import MINUTE
from longshore.identity import access_keys, removal, users
from longshore.identity.errors import NoSuchEntity
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.registry.key_uses import KeyUse, KeyUses
from tests.support.pushing import ACCOUNT
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock


@pytest.fixture
def key(context: Context) -> str:
    """The id of a user's key."""
    users.create(context, ACCOUNT, "alice")
    return access_keys.create(context, ACCOUNT, "alice")[0].id


def last_use(context: Context, key_id: str) -> KeyUse | None:
    """Return what is told of a key, each way alike."""
    found = access_keys.get(context, ACCOUNT, key_id)
    assert found in access_keys.list_all(context, ACCOUNT, found.user)
    return found.last_use


def written(context: Context) -> dict[str, KeyUse]:
    """Return what the database tells."""
    with context.database.read() as tx:
        rows = tx.execute(select(schema.access_key_uses)).all()
    return {row.key_id: KeyUse(row.used_at, row.service, row.region) for row in rows}


def test_a_use_is_told_before_it_is_written_and_after(
    context: Context, key: str, clock: FakeClock
) -> None:
    assert last_use(context, key) is None
    for region in ("eu-west-1", "eu-west-2"):
        use = KeyUse(clock(), "ecr", region)
        context.key_uses.note(key, use)
        assert last_use(context, key) == use
        assert use not in written(context).values()

        context.key_uses.write(context)
        assert last_use(context, key) == use
        assert written(context) == {key: use}
        assert context.key_uses.unwritten() == {}
        clock.advance(1)


def test_of_the_uses_of_a_key_the_last_counts(context: Context, key: str, clock: FakeClock) -> None:
    """Whatever the order in which processes see them and write them down."""
    moments = [clock() + number * MINUTE for number in range(8)]
    shuffled = random.Random(7).sample(moments, len(moments))
    for latest, moment in zip(itertools.accumulate(shuffled, max), shuffled, strict=True):
        process = KeyUses()
        process.note(key, KeyUse(moment, "ecr", str(moment)))
        process.note(key, KeyUse(moment - 1, "iam", str(moment - 1)))
        process.write(context)
        assert written(context) == {key: KeyUse(latest, "ecr", str(latest))}

    context.key_uses.note(key, KeyUse(moments[0], "iam", "long ago"))
    assert last_use(context, key) == KeyUse(moments[-1], "ecr", str(moments[-1]))


def test_each_key_has_its_own(context: Context, key: str, clock: FakeClock) -> None:
    uses = {key: KeyUse(clock(), "ecr", "eu-west-1")}
    for number in range(600):
        if number % 2 == 0:
            users.create(context, ACCOUNT, f"user-{number}")
        made, _ = access_keys.create(context, ACCOUNT, f"user-{number - number % 2}")
        uses[made.id] = KeyUse(clock() + number, "sts", "eu-west-2")
    for several in (list(uses)[:400], list(uses)):
        for key_id in several:
            context.key_uses.note(key_id, uses[key_id])
        context.key_uses.write(context)
        assert written(context) == {key_id: uses[key_id] for key_id in several}


def test_the_use_goes_with_the_key(context: Context, key: str, clock: FakeClock) -> None:
    kept, _ = access_keys.create(context, ACCOUNT, None)
    other, _ = access_keys.create(context, ACCOUNT, "alice")
    use = KeyUse(clock(), "ecr", "eu-west-1")
    for key_id in (key, kept.id, other.id):
        context.key_uses.note(key_id, use)
    context.key_uses.write(context)
    access_keys.remove(context, ACCOUNT, "alice", key)
    assert written(context) == {kept.id: use, other.id: use}
    removal.remove_whole(context, ACCOUNT, Kind.USER, "alice")
    assert written(context) == {kept.id: use}


def test_a_key_that_is_gone_by_then_is_forgotten(
    context: Context, key: str, clock: FakeClock
) -> None:
    kept, _ = access_keys.create(context, ACCOUNT, None)
    use = KeyUse(clock(), "ecr", "eu-west-1")
    for key_id in (key, kept.id):
        context.key_uses.note(key_id, use)
    access_keys.remove(context, ACCOUNT, "alice", key)
    context.key_uses.write(context)
    assert written(context) == {kept.id: use}
    assert context.key_uses.unwritten() == {}
    with pytest.raises(NoSuchEntity):
        access_keys.get(context, ACCOUNT, key)


def test_what_cannot_be_written_is_kept(context: Context, key: str, clock: FakeClock) -> None:
    use = KeyUse(clock(), "ecr", "eu-west-1")
    context.key_uses.note(key, use)
    with context.database.write() as tx:
        schema.access_key_uses.drop(tx)
    try:
        with pytest.raises(Exception, match="access_key_uses"):
            context.key_uses.write(context)
        assert context.key_uses.unwritten() == {key: use}
    finally:
        with context.database.write() as tx:
            schema.access_key_uses.create(tx)
    context.key_uses.write(context)
    assert written(context) == {key: use}


def test_what_policies_are_asked_is_not_forgotten_for_it(
    context: Context, key: str, clock: FakeClock
) -> None:
    before = context.database.generation()
    context.key_uses.write(context)
    assert context.database.generation() == before
    context.key_uses.note(key, KeyUse(clock(), "ecr", "eu-west-1"))
    assert context.database.generation() == before
    found = access_keys.find(context, key)
    context.key_uses.write(context)
    after = context.database.generation()
    if before is not None and after is not None:
        assert after.number != before.number
        assert after.beside_content == before.beside_content
        assert access_keys.find(context, key) is found


def test_processes_that_write_the_same_keys_at_once_write_all(
    context: Context, key: str, clock: FakeClock
) -> None:
    other, _ = access_keys.create(context, ACCOUNT, None)
    processes = [KeyUses() for _ in range(4)]
    for number, process in enumerate(processes):
        for key_id in (key, other.id) if number % 2 else (other.id, key):
            process.note(key_id, KeyUse(clock() + number, "ecr", f"region-{number}"))
    at_once([partial(process.write, context) for process in processes])
    last = KeyUse(clock() + 3, "ecr", "region-3")
    assert written(context) == {key: last, other.id: last}
