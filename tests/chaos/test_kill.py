"""SIGKILL at random moments while clients push, and while garbage is collected.

Whatever was acknowledged is there and intact afterwards, whatever was deleted stays deleted, and
nothing is left behind that nobody needs.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from longshore import server
from longshore.settings import Settings
from tests.chaos.examination import examine_emptied_store, examine_images, examine_store
from tests.chaos.processes import Collecting, Serving
from tests.chaos.pushers import COMMON, MIB, Pusher, shared_layers
from tests.chaos.stage import Client, Stage
from tests.support.server import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from types_boto3_ecr import ECRClient

    from tests.support.postgres import PostgresCluster

# Long enough for most pushes to succeed, short enough for the collector to have work.
GRACE_SECONDS = 1.5
UPLOAD_LIFETIME_SECONDS = 3.0
FOR_EVER_SECONDS = 86400.0
# A kill right after a moment would nearly always hit the same line.
LATEST_SECONDS = 0.03


@dataclass(frozen=True)
class Plan:
    """One test.

    Attributes:
        kills: how often something is killed.
        pushers: how many clients there are at a time.
        workers: how many processes serve.
        collects: whether garbage is collected all the while, with a tiny grace.
        seed: of everything that is left to chance, but for what the machine adds.
    """

    kills: int
    pushers: int = 4
    workers: int = 1
    collects: bool = True
    seed: int = 1


class Ordeal:
    """Runs a plan over a data directory and a database."""

    def __init__(self, plan: Plan, home: Path, database_url: str | None) -> None:
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self.settings = Settings(data=home / "data", database_url=database_url)
        self._store = ["--data", str(self.settings.data)]
        self._store += [] if database_url is None else ["--database-url", database_url]
        grace = GRACE_SECONDS if plan.collects else FOR_EVER_SECONDS
        lifetime = UPLOAD_LIFETIME_SECONDS if plan.collects else FOR_EVER_SECONDS
        graces = ["--layer-grace", str(grace), "--upload-lifetime", str(lifetime)]
        serving = ["--workers", str(plan.workers), "--collect-interval", "0.5"]
        self.serving = Serving(home, [*self._store, *graces, *serving])
        self.collecting = Collecting([*self._store, *graces])
        self._stage = Stage()
        self._open = ExitStack()

    def run(self) -> None:
        """Push and kill, and look at what is left."""
        self._start_for_the_first_time()
        pushers = self._make_pushers()
        with ThreadPoolExecutor(self._plan.pushers + 1) as pool:
            try:
                clients = [pool.submit(pusher.run) for pusher in pushers]
                if self._plan.collects:
                    clients.append(pool.submit(self._collect_all_the_while))
                for _ in range(self._plan.kills):
                    self._stage.await_moments(self._rng.randint(10, 150), clients)
                    time.sleep(self._rng.uniform(0, LATEST_SECONDS))
                    self._rng.choice(self._victims())()
            finally:
                self._stage.end()
                self._stage.up()
        for client in clients:
            client.result()
        self._examine(pushers)

    def _start_for_the_first_time(self) -> None:
        # The very first start may be cut short, too.
        self.serving.spawn()
        time.sleep(self._rng.uniform(0, 1))
        self.serving.kill()
        self.serving.start()
        self._stage.up()

    def put_away(self) -> None:
        """Leave nothing behind, however it went."""
        self.serving.put_away()
        self.collecting.kill()
        self._open.close()

    def _make_pushers(self) -> list[Pusher]:
        ecr = self._ecr()
        ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
        ecr.create_repository(repositoryName=COMMON)
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        layers = shared_layers(self._rng, 16, 8 * MIB)
        pushers = [
            Pusher(
                number,
                self._stage,
                Client(self._stage, self.serving.address, token),
                self._ecr(),
                layers,
                collects=self._plan.collects,
            )
            for number in range(self._plan.pushers)
        ]
        for pusher in pushers:
            ecr.create_repository(repositoryName=pusher.repository)
            self._open.callback(pusher.close)
        return pushers

    def _ecr(self) -> ECRClient:
        key = server.read_administrator(self.settings)
        assert key is not None
        ecr = boto3.client(
            "ecr",
            endpoint_url=f"http://{self.serving.address}",
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )
        self._open.callback(ecr.close)
        return ecr

    def _collect_all_the_while(self) -> None:
        while not self._stage.is_ending:
            self.collecting.run()

    # --- Killing ----------------------------------------------------------------------------------

    def _victims(self) -> Sequence[Callable[[], None]]:
        victims = [self._kill_server] * 3
        if self._plan.collects:
            victims += [self.collecting.kill]
        if self._plan.workers > 1:
            victims += [self._kill_supervisor, self._kill_worker]
        return victims

    def _kill_server(self) -> None:
        self._stage.down()
        self.serving.kill()
        if self._rng.random() < 0.3:
            self.serving.spawn()
            time.sleep(self._rng.uniform(0, 1))
            self.serving.kill()
        self.serving.start()
        self._stage.up()

    def _kill_supervisor(self) -> None:
        self._stage.down()
        self.serving.kill_supervisor()
        self.serving.start()
        self._stage.up()

    def _kill_worker(self) -> None:
        self.serving.kill_worker(self._rng)

    # --- Looking ----------------------------------------------------------------------------------

    def _examine(self, pushers: Sequence[Pusher]) -> None:
        examine_images(pushers, self._ecr())
        assert any(pusher.pushed for pusher in pushers)
        self.serving.stop()
        examine_store(self.settings.database, self.settings.data)
        without_grace = [*self._store, "--layer-grace", "0", "--upload-lifetime", "0"]
        Collecting(without_grace).run()
        examine_emptied_store(self.settings.database, self.settings.data)
        assert Collecting(without_grace).run() == ""
        log = self.serving.log.read_text()
        assert " ERROR " not in log, log


def go_through(plan: Plan, home: Path, database_url: str | None) -> None:
    ordeal = Ordeal(plan, home, database_url)
    try:
        ordeal.run()
    finally:
        ordeal.put_away()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(kills=8, seed=2), id="one process"),
        pytest.param(Plan(kills=8, workers=2, seed=3), id="two workers"),
        pytest.param(Plan(kills=6, workers=2, collects=False, seed=4), id="nothing collected"),
    ],
)
def test_what_was_acknowledged_outlives_kills(
    plan: Plan, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None
    if database == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        url = cluster.create_database()
    go_through(plan, tmp_path, url)
