"""YAML, read strictly: every value knows its line, and nothing is guessed.

Of YAML's many ways to write a thing, those that mean something else than they look like are
refused: words that are booleans, numbers with leading zeros, members that come twice, aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Collection

_LARGEST = 4 * 1024 * 1024
_TAG = "tag:yaml.org,2002:"
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_BOOLEANS = {"true": True, "false": False}


class InvalidFile(ValueError):
    """The file can't be used; the message says in which line, why, and what to do."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the file.

    Attributes:
        node: as PyYAML has read it.
        name: what it is called in a message.
    """

    node: Node
    name: str

    @property
    def line(self) -> int:
        """The line that it begins in."""
        return int(self.node.start_mark.line) + 1

    @property
    def is_mapping(self) -> bool:
        """Whether it has members."""
        return isinstance(self.node, MappingNode)

    def refusal(self, message: str) -> InvalidFile:
        """Return the refusal of it."""
        return InvalidFile(self.line, message)

    def members(self, known: Collection[str]) -> dict[str, Value]:
        """Return the members of a mapping, which may only have those that are `known`."""
        found = self.entries()
        for name, value in found.items():
            if name not in known:
                raise value.refusal(
                    f"{name!r} is no member of {self.name}. Those there are: "
                    f"{', '.join(sorted(known))}"
                )
        return found

    def entries(self) -> dict[str, Value]:
        """Return the members of a mapping, whatever their names."""
        if self._is_nothing():
            return {}
        if not isinstance(self.node, MappingNode):
            raise self.refusal(f"{self.name} must be a mapping: lines of NAME: VALUE")
        found: dict[str, Value] = {}
        for key_node, value_node in self.node.value:
            key = Value(key_node, f"a name in {self.name}").text()
            line = int(key_node.start_mark.line) + 1
            if key in found:
                raise InvalidFile(line, f"{self.name} has {key!r} twice. Leave one of them out")
            found[key] = Value(_at(value_node, key_node), key)
        return found

    def items(self) -> list[Value]:
        """Return the items of a list."""
        if self._is_nothing():
            return []
        if not isinstance(self.node, SequenceNode):
            raise self.refusal(f"{self.name} must be a list: [A, B], or lines that begin with -")
        return [Value(item, f"an item of {self.name}") for item in self.node.value]

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.node, ScalarNode):
            raise self.refusal(f"{self.name} must be a text")
        if self.node.tag != _TAG + "str":
            raise self.refusal(f"{self.name} must be a text: put {self.node.value} in quotes")
        return str(self.node.value)

    def texts(self) -> list[Value]:
        """Return the items of a list of texts, none of them twice."""
        items = self.items()
        seen: set[str] = set()
        for item in items:
            if item.text() in seen:
                raise item.refusal(f"{self.name} has {item.text()!r} twice. Leave one of them out")
            seen.add(item.text())
        return items

    def number(self) -> int:
        """Return a whole number."""
        document = self.document()
        if isinstance(document, bool) or not isinstance(document, int):
            raise self.refusal(f"{self.name} must be a whole number")
        return document

    def document(self) -> Any:  # noqa: ANN401 - whatever JSON can be
        """Return it as JSON has it."""
        if isinstance(self.node, MappingNode):
            return {name: value.document() for name, value in self.entries().items()}
        if isinstance(self.node, SequenceNode):
            return [item.document() for item in self.items()]
        text, kind = str(self.node.value), self.node.tag.removeprefix(_TAG)
        match kind:
            # A date is what the version of a policy looks like.
            case "str" | "timestamp":
                return text
            case "bool" if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
            case "int" if _PLAIN_NUMBER.fullmatch(text):
                return int(text)
        raise self.refusal(
            f"nobody can be sure what {text or 'nothing'} means here: put it in quotes"
        )

    def _is_nothing(self) -> bool:
        # `users:` and nothing below is what is left when the last one is taken out.
        return isinstance(self.node, ScalarNode) and self.node.tag == _TAG + "null"


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise InvalidFile(
                int(event.start_mark.line) + 1,
                f"*{event.anchor} is an alias, which isn't followed here: write it out",
            )
        return super().compose_node(parent, index)


def read(text: str) -> Value:
    """Read a YAML file.

    Raises:
        InvalidFile: it isn't one.
    """
    if len(text) > _LARGEST:
        raise InvalidFile(None, f"the file is larger than {_LARGEST} bytes")
    try:
        node = _Loader(text).get_single_node()
    except InvalidFile:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else int(mark.line) + 1
        raise InvalidFile(line, f"it can't be read as YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidFile(line, f"it can't be read as YAML: {error.reason}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise InvalidFile(None, "it can't be read as YAML") from None
    if node is None:
        raise InvalidFile(None, "the file is empty. Write at least: version: 1")
    return Value(node, "the file")


def _at(value: Node, key: Node) -> Node:
    """Return a value that is told of in the line of its name, where people look for it."""
    value.start_mark = key.start_mark
    return value
