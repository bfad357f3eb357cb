from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from longshore.cli.commands import app
from longshore.registry.limits import Limits
from longshore.setting_tables import TABLES, LimitSettings
from longshore.settings import InvalidSettings, Settings, load
from tests.support.process import unchanged_process

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each setting with a text that isn't its default, what it then is, and how TOML writes that.
VALUES: dict[str, tuple[str, Any]] = {
    "listen": ("[::1]:8443", "[::1]:8443"),
    "data": ("/srv/longshore", Path("/srv/longshore")),
    "database_url": ("postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n"),
    "compatibility": ("oci", "oci"),
    "account": ("111122223333", "111122223333"),
    "region": ("eu-west-1", "eu-west-1"),
    "domain": ("registry.example.org:8443", "registry.example.org:8443"),
    "tls_certificate": ("/etc/tls.pem", Path("/etc/tls.pem")),
    "tls_key": ("/etc/tls.key", Path("/etc/tls.key")),
    "behind_tls": ("true", True),
    "trusted_proxies": ("10.0.0.0/8, ::1", "10.0.0.0/8, ::1"),
    "workers": ("3", 3),
    "idle_timeout": ("2.5", 2.5),
    "keep_alive": ("30", 30.0),
    "layer_grace": ("0", 0.0),
    "upload_lifetime": ("60", 60.0),
    "collect_interval": ("0", 0.0),
    "lifecycle_interval": ("60", 60.0),
    "recycle_bin_days": ("14", 14),
    "jobs": ("false", False),
    "failed_attempts": ("0", 0),
    "failed_attempts_per_minute": ("0.5", 0.5),
    "openid_key_hosts": ("www.googleapis.com, keys.example", "www.googleapis.com, keys.example"),
    "outgoing_private_addresses": ("true", True),
    "archive_directory": ("/mnt/slow", Path("/mnt/slow")),
    "identities_file": ("/etc/identities.yaml", Path("/etc/identities.yaml")),
    "audit": ("false", False),
    "audit_file": ("/var/log/longshore.json", Path("/var/log/longshore.json")),
    "create_on_push": ("true", True),
    "pulls_interval": ("2.5", 2.5),
    "audit_file_size": ("1000", 1000),
    "audit_files_kept": ("0", 0),
    "audit_to_stdout": ("true", True),
    "access_log": ("true", True),
    "log_level": ("warning", "warning"),
    "log_format": ("json", "json"),
    "metrics": ("everybody", "everybody"),
    "traces": ("true", True),
}
LIMITS = {name: 7 for name in LimitSettings.model_fields if name != "rates"}
# Settings that make no sense alone.
WITH = {"tls_certificate": "tls_key", "tls_key": "tls_certificate"}
OTHERS = {
    "tls_certificate": "/etc/other.pem",
    "tls_key": "/etc/other.key",
    "domain": "other.example",
}

TOML = Path("longshore.toml")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variable and no file of the machine's has a say."""
    for variable in [name for name in os.environ if name.startswith("LONGSHORE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    with unchanged_process():
        yield


def written(**keys: Any) -> Path:
    """Write a configuration file."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    TOML.write_text("\n".join(lines))
    return TOML


def as_toml(name: str) -> Any:
    text, value = VALUES[name]
    return text if isinstance(value, str | Path) else value


def companion(name: str) -> dict[str, str]:
    return {WITH[name]: OTHERS[WITH[name]]} if name in WITH else {}


def set_variable(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"LONGSHORE_{name.upper()}", text)


def test_every_setting_is_in_the_table() -> None:
    assert VALUES.keys() | {*TABLES} == Settings.model_fields.keys()
    for name, (_, value) in VALUES.items():
        field = Settings.model_fields[name]
        assert field.get_default(call_default_factory=True) != value
        assert field.description


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_from_an_option(name: str) -> None:
    text, value = VALUES[name]

    settings = load({"workers": None, **companion(name), name: text}, None)

    assert getattr(settings, name) == value


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_from_a_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = VALUES[name]
    set_variable(monkeypatch, name, text)

    assert getattr(load(companion(name), None), name) == value


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_from_the_file(name: str) -> None:
    config = written(**{name: as_toml(name)}, **companion(name))

    assert getattr(load({}, config), name) == VALUES[name][1]


@pytest.mark.parametrize("name", VALUES)
def test_the_option_counts_before_the_variable_and_the_variable_before_the_file(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, value = VALUES[name]
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    other = str(default) if default is not None else OTHERS.get(name, "/etc/other")
    config = written(**{name: default if isinstance(default, bool | int | float) else other})

    set_variable(monkeypatch, name, text)
    assert getattr(load(companion(name), config), name) == value
    set_variable(monkeypatch, name, other)
    assert getattr(load({name: text, **companion(name)}, config), name) == value


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_from_a_variable_and_from_the_file(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    TOML.write_text(f"[limits]\n{name} = 6\nmanifest_size = 100\n" if name != "manifest_size"
                    else f"[limits]\n{name} = 6\n")  # fmt: skip
    assert getattr(load({}, TOML).limits, name) == 6

    monkeypatch.setenv(f"LONGSHORE_LIMITS__{name.upper()}", "7")
    both = load({}, TOML).limits

    assert getattr(both, name) == 7
    assert name == "manifest_size" or both.manifest_size == 100


def test_rates_from_the_file_and_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    TOML.write_text("[limits.rates]\nPutImage = 10\nGetAuthorizationToken = 0.5\n")
    assert load({}, TOML).limits.rates == {"PutImage": 10, "GetAuthorizationToken": 0.5}

    monkeypatch.setenv("LONGSHORE_LIMITS__RATES", '{"PutImage": 3}')
    assert load({}, None).limits.rates == {"PutImage": 3}


SECRET = "whsec_" + "c2VjcmV0" * 4


def test_who_hears_of_events_stands_in_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    TOML.write_text(
        f"""
        [events]
        allowed_networks = ["10.0.0.0/8", "127.0.0.1"]
        stdout = true
        [events.webhooks.ci]
        url = "http://10.0.0.1/hook"
        secret = "{SECRET}"
        """
    )
    events = load({}, TOML).events
    assert events.stdout
    assert [str(network) for network in events.networks] == ["10.0.0.0/8", "127.0.0.1/32"]
    assert events.webhooks["ci"].url == "http://10.0.0.1/hook"
    assert events.webhooks["ci"].secret.get_secret_value() == SECRET
    assert SECRET not in repr(events)

    webhooks = {"cd": {"url": "https://cd.example", "secret": SECRET}}
    monkeypatch.setenv("LONGSHORE_EVENTS__WEBHOOKS", json.dumps(webhooks))
    assert list(load({}, None).events.webhooks) == ["cd"]


@pytest.mark.parametrize(
    ("url", "secret", "message"),
    [
        ("nowhere", SECRET, "url: a URL begins with https:// or http:// and a host"),
        ("http://a:b@c.example", SECRET, "url: a URL must hold no credentials"),
        ("http://169.254.169.254/", SECRET, "webhooks.ci: 169.254.169.254 isn't a public address"),
        ("http://[::1]/", SECRET, "webhooks.ci: ::1 isn't a public address"),
        ("http://c.example", "hunter2", "secret: a secret is whsec_ and the base64 of"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused(url: str, secret: str, message: str) -> None:
    TOML.write_text(f'[events.webhooks.ci]\nurl = "{url}"\nsecret = "{secret}"\n')
    with pytest.raises(InvalidSettings) as raised:
        load({}, TOML)
    assert message in str(raised.value)
    assert secret not in str(raised.value)


def test_the_limits_are_those_of_the_rules() -> None:
    given = LimitSettings().model_dump(exclude={"rates"})

    assert Limits(**given) == Limits()


def test_the_defaults_are_those_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/somebody/data")
    settings = load({}, None)

    assert settings.data == Path("/home/somebody/data/longshore")
    assert settings.database == Path("/home/somebody/data/longshore/metadata.sqlite")
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert (settings.scheme, settings.address) == ("http", "http://localhost:5000")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load({}, None).data == Path("/home/somebody/.local/share/longshore")


ADDRESSES = [
    ("127.0.0.1:5000", "127.0.0.1", 5000, "http://localhost:5000"),
    ("localhost:5001", "localhost", 5001, "http://localhost:5001"),
    ("[::]:80", "::", 80, "http://localhost:80"),
    ("[::]:5000", "::", 5000, "http://localhost:5000"),
    ("[::1]:5000", "::1", 5000, "http://localhost:5000"),
    ("[fe80::1]:5000", "fe80::1", 5000, "http://[fe80::1]:5000"),
    ("192.0.2.1:0", "192.0.2.1", 0, "http://192.0.2.1:0"),
    ("registry.example.org:443", "registry.example.org", 443, "http://registry.example.org:443"),
]


@pytest.mark.parametrize(("listen", "host", "port", "address"), ADDRESSES)
def test_addresses(listen: str, host: str, port: int, address: str) -> None:
    settings = load({"listen": listen}, None)

    assert (settings.host, settings.port, settings.address) == (host, port, address)


@pytest.mark.parametrize(
    ("options", "scheme", "address"),
    [
        ({}, "http", "http://localhost:5000"),
        ({"behind_tls": True}, "https", "http://localhost:5000"),
        ({"tls_certificate": "c", "tls_key": "k"}, "https", "https://localhost:5000"),
    ],
)
def test_schemes(options: dict[str, Any], scheme: str, address: str) -> None:
    settings = load(options, None)

    assert (settings.scheme, settings.address) == (scheme, address)


@pytest.mark.parametrize(
    "domain",
    [
        *(
            "localhost",
            "localhost:5000",
            "registry.example",
            "Registry.Example:443",
            "amazonaws.com",
        ),
        *("example:1", "example:65535", "a.b-c.9d", "0.example", "a" * 63, "a." * 126 + "a"),
    ],
)
def test_a_domain_is_a_host_name_with_a_port_or_without(domain: str) -> None:
    assert load({"domain": domain}, None).domain == domain


def test_proxies_are_a_list_or_a_text() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("::1/128"))

    assert load({"trusted_proxies": " 10.0.0.0/8, ::1"}, None).proxy_networks == networks
    written_down = written(trusted_proxies=["10.0.0.0/8", "::1"])
    assert load({}, written_down).proxy_networks == networks
    assert load({}, None).proxy_networks == ()


# --- What can't be --------------------------------------------------------------------------------

BLOCKS = "write addresses or blocks such as 10.0.0.0/8, with commas between them"

DOMAIN = (
    "write a host name such as registry.example or registry.example:5000, "
    "without http:// and without a path"
)

# A setting, a text that it can't be, and the sentence that is said.
WRONG: list[tuple[str, str, str]] = [
    *(
        ("listen", text, "listen: write HOST:PORT, such as 127.0.0.1:5000 or [::]:5000")
        for text in (
            "",
            "5000",
            ":5000",
            "localhost",
            "localhost:",
            "localhost:x",
            "a:-1",
            "a:65536",
        )
    ),
    ("compatibility", "strict", "compatibility: Input should be 'ecr' or 'oci'"),
    *(
        ("account", text, "account: an account id has twelve digits")
        for text in ("", "12345", "1111222233334", "11112222333a", "\u0661" * 12)
    ),
    *(
        ("region", text, "region: write a region such as eu-west-1")
        for text in ("", "here", "eu_west_1", "EU-WEST-1", "eu-west-1 ", "../..", "a" * 40 + "-1")
    ),
    *(
        ("domain", text, f"domain: {DOMAIN}")
        for text in (
            *("", "http://x", "https://registry.example", "registry.example/", "x/y", "a b"),
            *(
                ".example",
                "example.",
                "a..b",
                "-a",
                "a-",
                "a_b",
                "*.example",
                "b\u00fccher.example",
            ),
            *("192.0.2.1", "192.0.2.1:5000", "[::1]:5000", "::1", "a" * 64, "a." * 126 + "ab"),
            *("example:", "example:http", "example:-1", "example:1:2", "example:\u0661", ":5000"),
            *("example\n", "example:5000\n", "user@example"),
        )
    ),
    *(
        ("domain", text, "domain: a port is a number from 1 to 65535")
        for text in ("example:0", "example:65536")
    ),
    *(
        ("workers", text, "workers: write a number of processes, or auto")
        for text in ("0", "-1", "1.5", "many", "Auto", "")
    ),
    ("idle_timeout", "0", "idle_timeout: Input should be greater than 0"),
    (
        "idle_timeout",
        "long",
        "idle_timeout: Input should be a valid number, unable to parse string as a number",
    ),
    ("keep_alive", "0", "keep_alive: Input should be greater than 0"),
    ("layer_grace", "-1", "layer_grace: Input should be greater than or equal to 0"),
    ("upload_lifetime", "-1", "upload_lifetime: Input should be greater than or equal to 0"),
    ("collect_interval", "-1", "collect_interval: Input should be greater than or equal to 0"),
    ("lifecycle_interval", "-1", "lifecycle_interval: Input should be greater than or equal to 0"),
    (
        "recycle_bin_days",
        "-1",
        "recycle_bin_days: Input should be greater than or equal to 0",
    ),
    (
        "recycle_bin_days",
        "3651",
        "recycle_bin_days: Input should be less than or equal to 3650",
    ),
    (
        "recycle_bin_days",
        "0.5",
        "recycle_bin_days: Input should be a valid integer, unable to parse string as an integer",
    ),
    (
        "behind_tls",
        "maybe",
        "behind_tls: Input should be a valid boolean, unable to interpret input",
    ),
    *(
        ("trusted_proxies", text, f"trusted_proxies: {reason}; {BLOCKS}")
        for text, reason in (
            ("10.0.0.0/8, proxy", "'proxy' does not appear to be an IPv4 or IPv6 network"),
            ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        )
    ),
    (
        "log_level",
        "loud",
        "log_level: Input should be 'debug', 'info', 'warning' or 'error'",
    ),
    (
        "limits__manifest_size",
        "0",
        "limits.manifest_size: Input should be greater than 0",
    ),
    ("limits__no_such", "1", "limits.no_such: there is no such setting"),
    (
        "tls_key",
        "key.pem",
        "settings: tls_certificate and tls_key go together: give both or none",
    ),
]


@pytest.mark.parametrize(("name", "text", "sentence"), WRONG)
def test_what_a_setting_can_not_be_is_said_in_one_line(
    name: str, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variable(monkeypatch, name, text)

    with pytest.raises(InvalidSettings) as caught:
        load({}, None)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["inf", "nan", "1e400", "-inf"])
@pytest.mark.parametrize(
    "name",
    [
        *("idle_timeout", "keep_alive", "layer_grace", "upload_lifetime"),
        *("collect_interval", "lifecycle_interval"),
    ],
)
def test_a_time_is_a_number_of_seconds(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variable(monkeypatch, name, text)

    with pytest.raises(InvalidSettings, match=f"^{name}: "):
        load({}, None)


def test_each_wrong_setting_has_a_line_of_its_own() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load({"workers": "0", "account": "1"}, None)

    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["account", "workers"]


FILES: list[tuple[str, str]] = [
    ("listen = 5000", "listen: Input should be a valid string"),
    ("no_such = 1", "no_such: there is no such setting"),
    ("[limits]\nno_such = 1", "limits.no_such: there is no such setting"),
    ("[limits]\nlayer_parts = 'x'", "limits.layer_parts: Input should be a valid integer"),
    ("[limits.rates]\nPutImage = 0", "limits.rates.PutImage: Input should be greater than 0"),
    ("[limits.rates]\nPutImage = 'x'", "limits.rates.PutImage: Input should be a valid number"),
    ("limits = 1", "limits: Input should be a valid dictionary or instance of LimitSettings"),
    ("listen = ", "longshore.toml can't be read: "),
    ("\x00", "longshore.toml can't be read: "),
    ("a = 1\na = 2", "longshore.toml can't be read: "),
]


@pytest.mark.parametrize(("content", "beginning"), FILES)
def test_a_file_that_can_not_be_used_is_told_of_in_one_line(content: str, beginning: str) -> None:
    TOML.write_text(content)

    with pytest.raises(InvalidSettings) as caught:
        load({}, TOML)
    assert str(caught.value).startswith(beginning)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none() -> None:
    with pytest.raises(InvalidSettings, match=r"There is no configuration file nowhere\.toml"):
        load({}, Path("nowhere.toml"))
    with pytest.raises(InvalidSettings, match="There is no configuration file"):
        load({}, Path.cwd())


def test_a_file_that_is_no_text() -> None:
    TOML.write_bytes(b"listen = '\xff'")

    with pytest.raises(InvalidSettings, match=r"longshore\.toml can't be read"):
        load({}, TOML)


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSHORE_LISTNE", "127.0.0.1:5000")

    with pytest.raises(InvalidSettings) as caught:
        load({}, None)
    sentence = str(caught.value)
    assert sentence.startswith("LONGSHORE_LISTNE is no setting of Longshore. Those there are: ")
    assert "LONGSHORE_LISTEN" in sentence
    assert "\n" not in sentence


def test_a_variable_of_a_table_that_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("{", "1", "[]"):
        monkeypatch.setenv("LONGSHORE_LIMITS", text)
        with pytest.raises(InvalidSettings, match="limits"):
            load({}, None)


def test_variables_that_are_somebody_else_s_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLONGSHORE_LISTEN", "x")
    monkeypatch.setenv("LONGSHOREMEN", "x")

    assert load({}, None).listen == "127.0.0.1:5000"


def test_a_password_in_the_database_s_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "database_url", "postgresql://u:s3cr3t@h/n")
    set_variable(monkeypatch, "workers", "x")

    with pytest.raises(InvalidSettings) as caught:
        load({}, None)
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(load({"workers": "1"}, None))


# --- On the command line --------------------------------------------------------------------------


def options() -> list[str]:
    return [name for name in Settings.model_fields if name not in TABLES]


@pytest.mark.parametrize("name", options())
def test_every_setting_is_an_option_of_serve_with_its_description(name: str) -> None:
    [option] = [each for each in app.commands["serve"].params if each.name == name]

    assert f"--{name.replace('_', '-')}" in option.opts
    assert getattr(option, "help", None) == Settings.model_fields[name].description


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `longshore serve` was run with; it ends before it serves."""
    served: list[Settings] = []

    def listen(settings: Settings) -> None:
        served.append(settings)
        raise SystemExit(0)

    monkeypatch.setattr("longshore.serving.listen", listen)
    return served


@pytest.mark.parametrize("name", options())
def test_an_option_reaches_the_settings(name: str, served: list[Settings]) -> None:
    text, value = VALUES[name]
    flag = f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
    words = [flag] if isinstance(value, bool) else [flag, text]
    for other, path in companion(name).items():
        words += [f"--{other.replace('_', '-')}", path]

    result = CliRunner().invoke(app, ["serve", *words])

    assert (result.exit_code, result.output) == (0, "")
    assert [getattr(settings, name) for settings in served] == [value]


@pytest.mark.parametrize(("cores", "count"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_there_are_as_many_processes_as_cores_up_to_four(
    cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longshore.cores.usable", lambda: cores)
    assert Settings().processes == Settings(workers="auto").processes == count
    assert Settings(workers=7).processes == 7


def test_there_is_one_process_where_they_would_share_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longshore.cores.usable", lambda: 8)
    monkeypatch.setattr("longshore.settings.METHOD", "spawn")
    assert (Settings().processes, Settings(workers=3).processes) == (1, 3)


def test_a_switch_can_be_turned_off(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variable(monkeypatch, "behind_tls", "true")

    CliRunner().invoke(app, ["serve"])
    CliRunner().invoke(app, ["serve", "--no-behind-tls"])

    assert [settings.behind_tls for settings in served] == [True, False]


def test_the_file_is_named_by_an_option_or_by_a_variable(served: list[Settings]) -> None:
    written(workers=5)

    CliRunner().invoke(app, ["serve", "--config", str(TOML)])
    CliRunner().invoke(app, ["serve"], env={"LONGSHORE_CONFIG": str(TOML)})

    assert [settings.workers for settings in served] == [5, 5]
