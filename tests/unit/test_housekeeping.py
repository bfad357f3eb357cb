from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.clock import DAY, HOUR
from longshore.housekeeping import create_runner
from longshore.jobs import ledger
from longshore.setting_tables import EventSettings, WebhookSettings
from longshore.settings import Settings
from tests.docs.pages import read
from tests.support.images import layer, oci_image
from tests.support.pushing import create_repository, push, upload
from tests.support.receiver import receiving
from tests.support.recycle_bin import bin_rows, delete, with_bin

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

SECRET = "whsec_" + "c2VjcmV0" * 4


def is_full(context: Context) -> bool:
    return next(context.blobs.locations(), None) is not None


def test_garbage_is_collected_each_interval_by_one_of_the_processes(
    context: Context, clock: FakeClock
) -> None:
    settings = Settings(collect_interval=1800, lifecycle_interval=0)
    runners = [create_runner(settings, context) for _ in range(2)]
    create_repository(context)
    upload(context, layer("nobody's"))
    assert [runner.run_due() for runner in runners] == [0, 0]
    clock.advance(HOUR // 2)
    assert [runner.run_due() for runner in runners] == [1, 0]
    assert is_full(context)
    clock.advance(2 * DAY)
    # It comes round with the other kinds of recurring work.
    assert [runner.run_due() for runner in runners] == [4, 0]
    assert not is_full(context)
    with context.database.read() as tx:
        assert ledger.list_some(tx) == []


def test_garbage_is_left_where_there_is_no_interval(context: Context, clock: FakeClock) -> None:
    runner = create_runner(Settings(collect_interval=0, lifecycle_interval=0), context)
    create_repository(context)
    upload(context, layer("nobody's"))
    for _ in range(3):
        runner.run_due()
        clock.advance(2 * DAY)
    assert is_full(context)


def test_the_recycle_bin_is_emptied_even_when_it_is_off_by_now(
    context: Context, clock: FakeClock
) -> None:
    runner = create_runner(Settings(collect_interval=0, lifecycle_interval=0), context)
    runner.run_due()
    create_repository(context)
    image = oci_image("thrown away")
    push(context, image)
    delete(with_bin(context, days=1), image)
    clock.advance(DAY - 1)
    runner.run_due()
    assert bin_rows(context) > 0
    clock.advance(HOUR)
    runner.run_due()
    assert bin_rows(context) == 0


def test_events_go_to_all_who_are_to_have_them(
    context: Context, tmp_path: Path, capfdbinary: object
) -> None:
    file = tmp_path / "events.ndjson"
    with receiving() as receiver:
        webhook = WebhookSettings(url=receiver.url, secret=SECRET)
        events = EventSettings(
            allowed_networks="127.0.0.0/8", webhooks={"ci": webhook}, file=file, stdout=True
        )
        runner = create_runner(Settings(events=events), context)
        runner.run_due()
        create_repository(context)
        push(context, oci_image("told of"), "1")
        runner.run_due()
    line = file.read_bytes()
    assert b'"image-tag":"1"' in line
    assert [received.body + b"\n" for received in receiver.received] == [line]
    assert capfdbinary.readouterr().out == line  # type: ignore[attr-defined] # pytest's


def test_every_kind_of_job_is_documented(context: Context) -> None:
    page = read("docs/jobs.md")
    for kind in create_runner(Settings(), context).kinds:
        assert f"\n| `{kind}` |" in page
