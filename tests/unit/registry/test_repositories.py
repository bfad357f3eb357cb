from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from longshore.errors import (
    ImageNotFound,
    InvalidParameter,
    InvalidTagParameter,
    LimitExceeded,
    NotBuiltYet,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    TooManyTags,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.names import Registry
from longshore.registry import images, layers, repositories, resource_tags, uploads
from longshore.registry.limits import Limits
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.repositories import Encryption
from tests.support.images import layer, oci_image
from tests.support.interruptions import before_statement
from tests.support.pushing import (
    ACCOUNT,
    CALLER,
    REGISTRY,
    REPOSITORY,
    begin,
    create_repository,
    pull,
    push,
    put,
    upload,
)
from tests.support.threads import at_once, outcome, until_done_or_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from tests.support.clock import FakeClock

NOT_FOUND = (
    "The repository with name 'no/such' does not exist in the registry with id '000000000000'"
)
OTHER_ACCOUNT = Registry("999999999999", REGISTRY.region)
OTHER_REGION = Registry(ACCOUNT, "us-east-1")
NOBODYS = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"
# In the order of their code points, which is not that of any language.
NAMES = ["0a", "a--b", "a-b", "a.b", "a/b", "a0", "a__b", "a_b", "aa", "ab", "ab/c", "b"]


def names_of(context: Context, registry: Registry = REGISTRY) -> list[str]:
    listed = repositories.list_all(context, registry, None, 1000)
    return [repository.name for repository in listed.items]


def create(
    context: Context, *, encryption: Encryption | None = None, tags: dict[str, str] | None = None
) -> Repository:
    return repositories.create(
        context,
        REGISTRY,
        REPOSITORY,
        mutability=TagMutability(Mode.IMMUTABLE_WITH_EXCLUSION, ("latest", "dev-*")),
        scan_on_push=True,
        encryption=encryption or Encryption(),
        tags=tags or {},
    )


def test_a_repository_is_kept_as_it_was_created(context: Context, clock: FakeClock) -> None:
    created = create(context)
    assert created == repositories.describe(context, REGISTRY, [REPOSITORY])[0]
    assert created.arn == "arn:aws:ecr:eu-west-1:000000000000:repository/demo/app"
    assert created.name == REPOSITORY
    assert created.registry == REGISTRY
    assert created.created_at == clock.now
    assert created.mutability == TagMutability(Mode.IMMUTABLE_WITH_EXCLUSION, ("latest", "dev-*"))
    assert created.scan_on_push
    assert created.encryption_type == "AES256"
    assert created.encryption_context == "aes256"


@pytest.mark.usefixtures("repository")
def test_a_repository_cannot_be_created_twice_even_alike(context: Context) -> None:
    with pytest.raises(RepositoryAlreadyExists) as refusal:
        create_repository(context)
    assert refusal.value.message == (
        "The repository with name 'demo/app' already exists in the registry with id '000000000000'"
    )
    assert names_of(context) == [REPOSITORY]


def test_of_many_who_create_the_same_repository_one_does(context: Context) -> None:
    outcomes = at_once([outcome(partial(create_repository, context))] * 8)
    assert sorted(outcomes) == ["RepositoryAlreadyExists"] * 7 + ["done"]


@pytest.mark.parametrize("registry", [OTHER_ACCOUNT, OTHER_REGION], ids=["account", "region"])
def test_a_name_belongs_to_one_account_in_one_region(
    context: Context, repository: Repository, registry: Registry
) -> None:
    with pytest.raises(RepositoryNotFound):
        repositories.describe(context, registry, [REPOSITORY])
    other = create_repository(context, registry=registry)
    assert other.id != repository.id
    repositories.remove(context, registry, REPOSITORY, force=True)
    assert names_of(context) == [REPOSITORY]
    assert names_of(context, registry) == []


@pytest.mark.parametrize("kind", ["KMS", "KMS_DSSE"])
@pytest.mark.parametrize("key", [None, "alias/key"])
def test_encryption_that_is_not_built_is_refused(
    context: Context, kind: str, key: str | None
) -> None:
    with pytest.raises(NotBuiltYet) as refusal:
        create(context, encryption=Encryption(kind, key))
    assert refusal.value.message == (
        f"Encryption with {kind} is not built yet in Longshore. Use AES256 and encrypt the volume "
        "that holds the data directory."
    )
    assert names_of(context) == []


def test_aes256_takes_no_key(context: Context) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        create(context, encryption=Encryption("AES256", "alias/key"))
    assert refusal.value.message == (
        "Invalid encryption configuration: Encryption key should not be set for AES256 encryption."
    )
    assert names_of(context) == []


def test_a_repository_may_begin_with_resource_tags(context: Context) -> None:
    create(context, tags={"team": "a", "empty": ""})
    assert repositories.tags_of(context, REGISTRY, REPOSITORY) == {"team": "a", "empty": ""}


@pytest.mark.parametrize(
    ("tags", "error"),
    [
        ({f"key {number}": "" for number in range(51)}, TooManyTags),
        ({"good": "", "aws:bad": ""}, InvalidTagParameter),
    ],
    ids=["too many", "reserved"],
)
def test_a_repository_with_bad_resource_tags_is_not_created(
    context: Context, tags: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        create(context, tags=tags)
    assert names_of(context) == []


def test_a_registry_holds_so_many_repositories_and_no_more(context: Context) -> None:
    small = replace(context, limits=Limits(repositories_per_registry=2))
    for name in ("demo/a", "demo/b"):
        create_repository(small, name)
    with pytest.raises(LimitExceeded) as refusal:
        create_repository(small, "demo/c")
    assert refusal.value.message == (
        "The registry with id '000000000000' already has 2 repositories, the most it may have. "
        "Delete some or raise the limit (limits.repositories_per_registry)."
    )
    create_repository(small, "demo/c", registry=OTHER_REGION)
    repositories.remove(small, REGISTRY, "demo/a", force=False)
    create_repository(small, "demo/c")


def test_a_repository_that_exists_is_said_to_exist_also_where_there_is_no_room(
    context: Context,
) -> None:
    small = replace(context, limits=Limits(repositories_per_registry=1))
    create_repository(small)
    with pytest.raises(RepositoryAlreadyExists):
        create_repository(small)


def test_repositories_are_described_in_the_order_of_the_names_each_once(context: Context) -> None:
    for name in ("demo/a", "demo/b", "demo/c"):
        create_repository(context, name)
    described = repositories.describe(context, REGISTRY, ["demo/c", "demo/a", "demo/c"])
    assert [repository.name for repository in described] == ["demo/c", "demo/a"]


@pytest.mark.usefixtures("repository")
def test_one_unknown_name_fails_the_whole_description(context: Context) -> None:
    with pytest.raises(RepositoryNotFound) as refusal:
        repositories.describe(context, REGISTRY, [REPOSITORY, "no/such", "nor/this"])
    assert refusal.value.message == NOT_FOUND


@pytest.mark.parametrize("name", ["demo_app", "demo%", "%", "demo/ap_", "DEMO/APP"])
@pytest.mark.usefixtures("repository")
def test_no_character_of_a_name_is_a_wildcard(context: Context, name: str) -> None:
    with pytest.raises(RepositoryNotFound):
        repositories.describe(context, REGISTRY, [name])


def test_repositories_are_listed_by_the_code_points_of_their_names(context: Context) -> None:
    for name in reversed(NAMES):
        create_repository(context, name)
    create_repository(context, "elsewhere", registry=OTHER_REGION)
    assert names_of(context) == NAMES


def test_the_slices_of_a_registry_are_the_registry(context: Context) -> None:
    for name in NAMES:
        create_repository(context, name)
    for limit in range(1, len(NAMES) + 2):
        shown: list[str] = []
        after = None
        while True:
            listed = repositories.list_all(context, REGISTRY, after, limit)
            assert len(listed.items) <= limit
            names = repositories.list_names(context, REGISTRY, after, limit)
            assert names.items == tuple(repository.name for repository in listed.items)
            assert names.next == listed.next
            shown += [repository.name for repository in listed.items]
            assert listed.next is None or listed.next != after, "the listing stands still"
            after = listed.next
            if after is None:
                break
        assert shown == NAMES


def test_a_listing_goes_on_behind_a_repository_that_is_gone(context: Context) -> None:
    for name in NAMES:
        create_repository(context, name)
    first = repositories.list_all(context, REGISTRY, None, 3)
    repositories.remove(context, REGISTRY, first.items[-1].name, force=False)
    rest = repositories.list_all(context, REGISTRY, first.next, 1000)
    assert [repository.name for repository in rest.items] == NAMES[3:]


@pytest.mark.parametrize(
    "change",
    [
        partial(repositories.remove, force=True),
        partial(repositories.put_tag_mutability, mutability=TagMutability()),
        partial(repositories.put_scan_on_push, scan_on_push=True),
        partial(repositories.tag, tags={"a": "b"}),
        partial(repositories.untag, keys=["a"]),
        repositories.tags_of,
    ],
    ids=["remove", "mutability", "scanning", "tag", "untag", "tags"],
)
def test_what_is_not_there_cannot_be_changed(
    context: Context, change: Callable[[Context, Registry, str], object]
) -> None:
    with pytest.raises(RepositoryNotFound) as refusal:
        change(context, REGISTRY, "no/such")
    assert refusal.value.message == NOT_FOUND


def test_a_repository_with_images_is_only_removed_by_force(
    context: Context, repository: Repository
) -> None:
    image = oci_image("one")
    push(context, image, "1")
    with pytest.raises(RepositoryNotEmpty) as refusal:
        repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    assert refusal.value.message == (
        "The repository with name 'demo/app' in registry with id '000000000000' cannot be deleted "
        "because it still contains images"
    )
    assert pull(context, "1").content == image.content
    assert repositories.remove(context, REGISTRY, REPOSITORY, force=True) == repository
    assert names_of(context) == []


@pytest.mark.usefixtures("repository")
def test_an_untagged_image_is_an_image(context: Context) -> None:
    push(context, oci_image("one"))
    with pytest.raises(RepositoryNotEmpty):
        repositories.remove(context, REGISTRY, REPOSITORY, force=False)


@pytest.mark.usefixtures("repository")
def test_layers_and_uploads_alone_do_not_keep_a_repository(context: Context) -> None:
    upload(context, layer("a layer"))
    started = begin(context, b"half an upload")
    repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    create_repository(context)
    with pytest.raises(UploadNotFound):
        uploads.find(context, CALLER, REGISTRY, REPOSITORY, started.id)


def test_a_new_repository_has_nothing_of_an_old_one_of_its_name(context: Context) -> None:
    create(context, tags={"team": "a"})
    image = oci_image("one")
    push(context, image, "latest")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    create_repository(context)
    assert repositories.tags_of(context, REGISTRY, REPOSITORY) == {}
    assert repositories.describe(context, REGISTRY, [REPOSITORY])[0].mutability == TagMutability()
    assert layers.check(context, REGISTRY, REPOSITORY, [blob.digest for blob in image.blobs]) == {}
    with pytest.raises(ImageNotFound):
        pull(context, "latest")


@pytest.mark.usefixtures("repository")
def test_removing_a_repository_leaves_others_with_the_same_layers(context: Context) -> None:
    image = oci_image("one")
    create_repository(context, "other")
    push(context, image, "1")
    push(context, image, "1", "other")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    assert pull(context, "1", "other").content == image.content


@pytest.mark.usefixtures("repository")
def test_a_second_removal_finds_nothing(context: Context) -> None:
    outcomes = at_once(
        [outcome(partial(repositories.remove, context, REGISTRY, REPOSITORY, force=False))] * 4
    )
    assert sorted(outcomes) == ["RepositoryNotFound"] * 3 + ["done"]


def test_mutability_is_replaced_whole(context: Context) -> None:
    create(context)
    changed = repositories.put_tag_mutability(
        context, REGISTRY, REPOSITORY, TagMutability(Mode.MUTABLE_WITH_EXCLUSION, ("v*",))
    )
    assert changed.mutability == TagMutability(Mode.MUTABLE_WITH_EXCLUSION, ("v*",))
    assert changed == repositories.describe(context, REGISTRY, [REPOSITORY])[0]
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, TagMutability(Mode.IMMUTABLE))
    [described] = repositories.describe(context, REGISTRY, [REPOSITORY])
    assert described.mutability == TagMutability(Mode.IMMUTABLE)


@pytest.mark.usefixtures("repository")
def test_mutability_counts_from_the_next_push(context: Context) -> None:
    push(context, oci_image("one"), "1")
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, TagMutability(Mode.IMMUTABLE))
    assert pull(context, "1").digest == oci_image("one").digest
    push(context, oci_image("two"))
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, TagMutability())
    repositories.describe(context, REGISTRY, [REPOSITORY])
    images.put(
        context,
        REGISTRY,
        REPOSITORY,
        oci_image("two").content,
        media_type=None,
        tag="1",
        digest=None,
    )
    assert pull(context, "1").digest == oci_image("two").digest


def test_scanning_on_push_is_switched_and_nothing_else(context: Context) -> None:
    created = create(context)
    changed = repositories.put_scan_on_push(context, REGISTRY, REPOSITORY, scan_on_push=False)
    assert changed == replace(created, scan_on_push=False)
    assert [changed] == repositories.describe(context, REGISTRY, [REPOSITORY])


# Only PostgreSQL lets anybody come between: SQLite has one writer at a time.
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "act"),
    [
        (
            "INSERT INTO uploads",
            lambda context: uploads.start(context, CALLER, REGISTRY, REPOSITORY),
        ),
        ("SELECT repositories", lambda context: put(context, oci_image("one"))),
        (
            "SELECT repositories",
            lambda context: layers.mount(context, REGISTRY, REPOSITORY, "other", layer("x").digest),
        ),
        (
            "SELECT repositories",
            lambda context: repositories.tag(context, REGISTRY, REPOSITORY, {"a": "b"}),
        ),
    ],
    ids=["upload", "manifest", "mount", "tag"],
)
def test_a_repository_removed_at_the_last_moment_is_said_to_be_gone(
    context: Context, repository: Repository, statement: str, act: Callable[[Context], object]
) -> None:
    removal = partial(repositories.remove, context, REGISTRY, repository.name, force=True)
    with (
        before_statement(context.database, statement, removal),
        pytest.raises(RepositoryNotFound),
    ):
        act(context)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_removal_takes_the_upload_along_that_is_just_being_begun(
    context: Context, repository: Repository
) -> None:
    removal = partial(repositories.remove, context, REGISTRY, repository.name, force=True)
    with ThreadPoolExecutor(1) as pool, context.database.write() as tx:
        tx.execute(
            insert(schema.uploads).values(
                id=NOBODYS,
                repository_id=repository.id,
                principal_arn=CALLER.arn,
                started_at=0,
                touched_at=0,
                size=0,
                parts=0,
                last_part_size=0,
                has_small_part=False,
            )
        )
        removing = pool.submit(removal)
        until_done_or_waiting(context.database, removing)
        assert not removing.done()
    assert removing.result() == repository
    with context.database.read() as tx:
        assert tx.execute(select(schema.uploads)).all() == []


def test_resource_tags_of_a_repository_are_counted_apart(
    context: Context, repository: Repository
) -> None:
    other = create_repository(context, "other", tags={"a": "1", "b": "2"})
    with context.database.read() as tx:
        assert resource_tags.count(tx, repository.id) == 0
        assert resource_tags.count(tx, other.id) == 2
