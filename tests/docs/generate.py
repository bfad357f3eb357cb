"""The tables of the documentation that are made from the code.

`make docs` writes them into the pages, each between two marks:

    <!-- table: operations -->
    <!-- end of table -->

The tests of this folder fail where a page holds another table than the code gives.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from longshore.api.aws.errors import _QUERY_ANSWERS, json_status, query_answer
from longshore.api.aws.model import ServiceModel
from longshore.api.ecr import operations as ecr
from longshore.api.iam import operations as iam
from longshore.api.metrics import METRICS
from longshore.api.oci import errors as oci_errors
from longshore.api.oci.routes import ROUTES
from longshore.api.sts import operations as sts
from longshore.cli.commands import serve
from longshore.errors import RegistryError
from longshore.identity import (
    access_keys,
    aws_managed_policies,
    groups,
    managed_policies,
    policy_versions,
    words,
)
from longshore.identity import errors as identity_errors
from longshore.identity.kinds import Kind
from longshore.registry.dialect import DIALECTS
from longshore.registry.limits import MIB
from longshore.setting_tables import EventSettings, LimitSettings
from longshore.setting_values import HOUR
from longshore.settings import ENVIRONMENT_PREFIX, Settings
from tests.docs.pages import REPOSITORY, page_names, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from longshore.api.aws.operations import Operation
    from longshore.api.oci.routes import Route
    from longshore.registry.dialect import Compatibility

CONFORMANCE_DIFFERENCES: Final = REPOSITORY / "tests/compat/conformance_differences.toml"

_MARKED: Final = re.compile(
    r"(?P<begin><!-- table: (?P<name>[a-z -]+) -->\n).*?(?P<end><!-- end of table -->)", re.DOTALL
)


# --- The two faces --------------------------------------------------------------------------------


def operations_of_ecr() -> str:
    """Every operation of ECR's service model."""
    names = sorted(ServiceModel.load("ecr").operations)
    rows = (
        (f"`{name}`", "complete", f"`{ecr.OPERATIONS[name].action}`")
        if name in ecr.OPERATIONS
        else (f"`{name}`", "not built yet", "")
        for name in names
    )
    return f"{len(ecr.OPERATIONS)} of {len(names)} operations are complete.\n\n" + _table(
        ("Operation", "State", "IAM action"), rows
    )


def operations_of_iam() -> str:
    """Those of IAM's operations that Longshore answers."""
    return _answered("iam", iam.OPERATIONS)


def operations_of_sts() -> str:
    """Those of STS's operations that Longshore answers."""
    return _answered("sts", sts.OPERATIONS)


def _answered(service: str, operations: Mapping[str, Operation]) -> str:
    known = ServiceModel.load(service).operations
    names = "".join(f"- `{name}`\n" for name in sorted(operations))
    return f"{len(operations)} of {len(known)} operations:\n\n{names}"


def routes() -> str:
    """Every route of the registry face."""
    return _table(
        ("Method", "Path", "Stands for", "IAM action"),
        (
            (
                method,
                f"`{_readable(pattern)}`",
                f"`{route.operation}`",
                _actions(route),
            )
            for pattern, methods in ROUTES
            for method, route in methods.items()
        ),
    )


def _actions(route: Route) -> str:
    if route.action is None:
        return "none: good credentials are enough"
    if route.also is None:
        return f"`{route.action}`"
    more = " and ".join(f"`{action}`" for action in route.also.actions)
    return f"`{route.action}`; {route.also.description} {more} too"


def _readable(pattern: str) -> str:
    """Write a route's pattern as people write paths."""
    path = pattern.replace("(?P<name>.+)", "<name>").replace("/?", "/")
    parent, argument, _ = path.partition("(?P<argument>[^/]+)")
    return parent + _ARGUMENTS[parent.split("/")[-2]] if argument else path


# What the last part of a path is, by the part before it.
_ARGUMENTS: Final = {
    "blobs": "<digest>",
    "manifests": "<tag or digest>",
    "referrers": "<digest>",
    "uploads": "<upload>",
}


def ecr_errors() -> str:
    """Every error of the ECR API that Longshore answers with."""
    kinds = {
        kind.code: kind
        for kind in _errors()
        if kind.code.endswith("Exception") and not _is_of_identities(kind)
    }
    return _table(
        ("Code", "HTTP status", "When"),
        (
            (f"`{code}`", str(json_status(kinds[code])), _summary(kinds[code]))
            for code in sorted(kinds)
        ),
    )


def query_errors() -> str:
    """Every error of the APIs of IAM and STS that Longshore answers with."""
    statuses = {
        code: status
        for service in ("iam", "sts")
        for code, status in ServiceModel.load(service).error_statuses.items()
    }
    answers = {
        query_answer(kind, statuses): kind
        for kind in (*_errors(), *_QUERY_ANSWERS)
        if kind in _QUERY_ANSWERS or kind.code in statuses or _is_of_identities(kind)
    }
    return _table(
        ("Code", "HTTP status", "When"),
        (
            (f"`{code}`", str(status), _summary(answers[code, status]))
            for code, status in sorted(answers)
        ),
    )


def _is_of_identities(kind: type[RegistryError]) -> bool:
    return kind.__module__ == identity_errors.__name__


def registry_face_errors() -> str:
    """Every error of the registry face."""
    kinds: list[type[RegistryError]] = [*oci_errors._TABLE, *oci_errors._TABLE_OF_DIALECT["oci"]]
    rows = [
        (_oci_answer(kind, "ecr"), _oci_answer(kind, "oci"), _summary(kind))
        for kind in {*kinds} - {RegistryError}
    ]
    rest = (*(_oci_answer(RegistryError, dialect) for dialect in DIALECTS), "Anything else.")
    return _table(("As `ecr`", "As `oci`", "When"), [*sorted(rows), rest])


def _errors(kind: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    """Walk over those of the family that have a code of their own."""
    for child in kind.__subclasses__():
        yield from _errors(child)
        # Tests make some of their own.
        if "code" in vars(child) and child.__module__.startswith("longshore."):
            yield child


def _oci_answer(kind: type[RegistryError], dialect: Compatibility) -> str:
    table = oci_errors._TABLE | oci_errors._TABLE_OF_DIALECT[dialect]
    code, status = next(table[base] for base in kind.__mro__ if base in table)
    return f"{status} `{code}`"


def _summary(kind: type[RegistryError]) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


# --- The settings ---------------------------------------------------------------------------------


def settings() -> str:
    """Every setting."""
    options = {option.name: option for option in serve.params if isinstance(option, click.Option)}
    return _table(
        ("Key", "Option", "Variable", "Default", "Meaning"),
        (
            (
                f"`{name}`",
                "<br>".join(f"`{flag}`" for flag in _flags(options[name])),
                f"`{ENVIRONMENT_PREFIX}{name.upper()}`",
                _default(name, field),
                _meaning(field),
            )
            for name, field in Settings.model_fields.items()
            if name in options
        ),
    )


def limits() -> str:
    """Every limit."""
    return _group("limits", LimitSettings)


def events() -> str:
    """Every setting about events."""
    return _group("events", EventSettings)


def _group(group: str, model: type[BaseModel]) -> str:
    return _table(
        ("Key", "Variable", "Default", "Meaning"),
        (
            (
                f"`{group}.{name}`",
                f"`{ENVIRONMENT_PREFIX}{group.upper()}__{name.upper()}`",
                _default(name, field),
                _meaning(field),
            )
            for name, field in model.model_fields.items()
        ),
    )


def _flags(option: click.Option) -> Sequence[str]:
    return [*option.opts, *option.secondary_opts]


def _default(name: str, field: FieldInfo) -> str:
    if name == "data":  # it lies below the home of whoever asks
        return "`longshore` below `$XDG_DATA_HOME`, else below `~/.local/share`"
    value = field.get_default(call_default_factory=True)
    if value in (None, {}):
        return "none"
    text = json.dumps(value).strip('"') if not isinstance(value, float) else f"{value:g}"
    if isinstance(value, float) and value % HOUR == 0:
        return f"`{text}` ({value / HOUR:g} h)"
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"`{text}` ({value // MIB} MiB)"
    return f"`{text}`"


def _meaning(field: FieldInfo) -> str:
    choices = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    meaning = (field.description or "").replace("<", r"\<")
    return f"{meaning} One of {', '.join(choices)}." if choices else meaning


# --- Monitoring -----------------------------------------------------------------------------------


def metrics() -> str:
    """Every metric."""
    return _table(
        ("Metric", "Type", "Labels", "Meaning"),
        (
            (
                f"`{metric.name}`",
                metric.kind,
                ", ".join(f"`{label}`" for label in metric.labels),
                f"{metric.help}.",
            )
            for metric in METRICS
        ),
    )


# --- The conformance suite ------------------------------------------------------------------------


def conformance() -> str:
    """What the tests with the conformance suite expect it to find."""
    differences: Mapping[str, list[dict[str, Any]]] = tomllib.loads(
        CONFORMANCE_DIFFERENCES.read_text()
    )
    return _table(
        ("`compatibility`", "Failed", "Skipped", "Why"),
        (
            (
                f"`{compatibility}`",
                str(sum(difference.get("failed", {}).values())),
                str(sum(difference.get("skipped", {}).values())),
                difference["reason"],
            )
            for compatibility, found in differences.items()
            for difference in found
        ),
    )


# --- Identities -----------------------------------------------------------------------------------


def aws_policies() -> str:
    """Every managed policy of AWS's."""
    policies = map(aws_managed_policies.find, sorted(aws_managed_policies.ARNS))
    return _table(
        ("Name", "ARN", "What for"),
        ((f"`{policy.name}`", f"`{policy.arn}`", policy.description) for policy in policies),
    )


def limits_of_iam() -> str:
    """IAM's quotas."""
    kinds = [(f"{kind.title}s", kind.quotas) for kind in Kind]
    return _table(
        ("", *(name for name, _ in kinds), "Managed policies"),
        (
            (
                "In an account",
                *(f"{quotas.in_account:,}" for _, quotas in kinds),
                f"{managed_policies.MOST_IN_ACCOUNT:,}",
            ),
            (
                "Characters of a name",
                *(str(quotas.longest_name) for _, quotas in kinds),
                str(managed_policies.LONGEST_NAME),
            ),
            ("Managed policies of one", *(str(quotas.attachments) for _, quotas in kinds), ""),
            ("Groups of one", str(groups.MOST_OF_USER), "", "", ""),
            ("Access keys of one", str(access_keys.MOST), "", "", ""),
            ("Tags of one", str(words.MOST_TAGS), "", str(words.MOST_TAGS), str(words.MOST_TAGS)),
            ("Versions of one", "", "", "", str(policy_versions.MOST)),
        ),
    )


# --- The pages ------------------------------------------------------------------------------------

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "operations of ecr": operations_of_ecr,
    "operations of iam": operations_of_iam,
    "operations of sts": operations_of_sts,
    "routes": routes,
    "errors of ecr": ecr_errors,
    "errors of iam and sts": query_errors,
    "errors of the registry face": registry_face_errors,
    "settings": settings,
    "limits": limits,
    "events": events,
    "metrics": metrics,
    "conformance": conformance,
    "managed policies of aws": aws_policies,
    "limits of iam": limits_of_iam,
}


def rendered(text: str) -> str:
    """Return a page with its tables as the code gives them."""

    def replace(marked: re.Match[str]) -> str:
        return f"{marked['begin']}\n{TABLES[marked['name']]()}\n{marked['end']}"

    return _MARKED.sub(replace, text)


def tables_in(text: str) -> list[str]:
    """Return the names of the tables that a page has a place for."""
    return [marked["name"] for marked in _MARKED.finditer(text)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))


def main() -> None:
    """Write every page whose tables have changed."""
    for name in page_names():
        text = read(name)
        if (new := rendered(text)) != text:
            (REPOSITORY / name).write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
