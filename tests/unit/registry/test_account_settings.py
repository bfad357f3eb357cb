from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.errors import InvalidParameter
from longshore.names import Registry
from longshore.registry import account_settings
from tests.support.pushing import ACCOUNT, REGISTRY
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context

NO_SUCH_SETTING = (
    "Invalid parameter at 'name' failed to satisfy constraint: 'Member must satisfy enum value "
    "set: [BLOB_MOUNTING, BASIC_SCAN_TYPE_VERSION, REGISTRY_POLICY_SCOPE]'"
)


def no_such_value(*values: str) -> str:
    return (
        "Invalid parameter at 'value' failed to satisfy constraint: "
        f"'Member must satisfy enum value set: [{', '.join(values)}]'"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BLOB_MOUNTING", "DISABLED"),
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"),
        ("REGISTRY_POLICY_SCOPE", "V2"),
    ],
)
def test_a_setting_has_a_value_before_it_was_ever_set(
    context: Context, name: str, value: str
) -> None:
    assert account_settings.get(context, REGISTRY, name) == value
    account_settings.put(context, REGISTRY, name, value)
    assert account_settings.get(context, REGISTRY, name) == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("BLOB_MOUNTING", ("ENABLED", "ENABLED", "DISABLED")),
        ("REGISTRY_POLICY_SCOPE", ("V1", "V1", "V2")),
    ],
)
def test_a_setting_can_be_changed_and_changed_back(
    context: Context, name: str, values: tuple[str, ...]
) -> None:
    for value in values:
        account_settings.put(context, REGISTRY, name, value)
        assert account_settings.get(context, REGISTRY, name) == value


@pytest.mark.parametrize(
    "registry", [Registry(ACCOUNT, "us-east-1"), Registry("999999999999", REGISTRY.region)]
)
def test_a_setting_holds_for_one_registry(context: Context, registry: Registry) -> None:
    account_settings.put(context, registry, "BLOB_MOUNTING", "ENABLED")
    assert account_settings.get(context, REGISTRY, "BLOB_MOUNTING") == "DISABLED"


@pytest.mark.parametrize("name", ["", "blob_mounting", "NO_SUCH", "BLOB%", "x" * 64, "\0"])
def test_there_are_no_other_settings(context: Context, name: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        account_settings.get(context, REGISTRY, name)
    assert refusal.value.message == NO_SUCH_SETTING
    with pytest.raises(InvalidParameter) as refusal:
        account_settings.put(context, REGISTRY, name, "ENABLED")
    assert refusal.value.message == NO_SUCH_SETTING


@pytest.mark.parametrize(
    ("name", "value", "values"),
    [
        ("BLOB_MOUNTING", "enabled", ("DISABLED", "ENABLED")),
        ("BLOB_MOUNTING", "", ("DISABLED", "ENABLED")),
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR", ("AWS_NATIVE",)),
        ("REGISTRY_POLICY_SCOPE", "V3", ("V2", "V1")),
    ],
)
def test_a_setting_has_no_other_values(
    context: Context, name: str, value: str, values: tuple[str, ...]
) -> None:
    before = account_settings.get(context, REGISTRY, name)
    with pytest.raises(InvalidParameter) as refusal:
        account_settings.put(context, REGISTRY, name, value)
    assert refusal.value.message == no_such_value(*values)
    assert account_settings.get(context, REGISTRY, name) == before


def test_a_setting_may_be_put_by_many_at_the_same_time(context: Context) -> None:
    put = partial(account_settings.put, context, REGISTRY, "BLOB_MOUNTING", "ENABLED")
    assert at_once([outcome(put)] * 8) == ["done"] * 8
    assert account_settings.get(context, REGISTRY, "BLOB_MOUNTING") == "ENABLED"
