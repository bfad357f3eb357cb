"""Hot statements: written once in SQLAlchemy's words, compiled once, and handed to the driver.

SQLAlchemy takes ten times as long to execute a statement as SQLite itself, even one that it has
compiled before. What every push, pull and listing executes goes past it, in the same transaction
and with the same errors. What is executed seldom needs none of this: `tx.execute` does.
"""

from __future__ import annotations

from collections import namedtuple
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ClauseElement, Connection, Dialect
    from sqlalchemy.types import TypeEngine

    Process: TypeAlias = Callable[[Any], Any]

# An IN has a form for each number of values; more of them than this aren't kept.
_MOST_FORMS = 256


class Record(Protocol):
    """A row: its columns by their names."""

    def __getattr__(self, column: str, /) -> Any:  # noqa: ANN401 - of the column's type
        """Return the value of a column."""


class Prepared:
    """A statement of SQLAlchemy's that is executed again and again.

    Its methods take an open transaction and the values of its parameters. A parameter of an `IN`
    (`bindparam(…, expanding=True)`) takes a list. Values and columns are converted as SQLAlchemy
    does, and what the driver raises comes as SQLAlchemy's exceptions.

    Args:
        statement: what `tx.execute` would be given.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._forms: dict[object, _Form] = {}
        self._takes_lists = any(
            getattr(element, "expanding", False) for element in visitors.iterate(statement)
        )

    def all(self, tx: Connection, /, **values: object) -> list[Record]:
        """Return the rows that it finds."""
        form = self._form(tx.dialect, values)
        return form.records(_execute(tx, form.text, form.parameters(values)))

    def one_or_none(self, tx: Connection, /, **values: object) -> Record | None:
        """Return the only row that it finds, or None."""
        found = self.all(tx, **values)
        if len(found) > 1:
            raise ValueError(f"{len(found)} rows where there should be one at most")
        return found[0] if found else None

    def value(self, tx: Connection, /, **values: object) -> Any:  # noqa: ANN401 - of the column's
        """Return the first column of the only row that it finds, or None."""
        found = self.one_or_none(tx, **values)
        return None if found is None else cast("tuple[object, ...]", found)[0]

    def run(self, tx: Connection, /, **values: object) -> int:
        """Execute it, and return how many rows were written."""
        form = self._form(tx.dialect, values)
        return cast("int", _execute(tx, form.text, form.parameters(values)).rowcount)

    def run_for_each(self, tx: Connection, rows: Sequence[Mapping[str, object]], /) -> None:
        """Execute it with the values of each row; all of them name the same parameters."""
        if rows:
            form = self._form(tx.dialect, rows[0])
            _execute(tx, form.text, [form.parameters(row) for row in rows], many=True)

    def _form(self, dialect: Dialect, values: Mapping[str, object]) -> _Form:
        key: tuple[object, ...] = (dialect.name, *values)
        if self._takes_lists:
            key += tuple([len(value) for value in values.values() if isinstance(value, list)])
        form = self._forms.get(key)
        if form is None:
            if len(self._forms) >= _MOST_FORMS:
                # Another one, as other threads may be looking at this one.
                self._forms = {}
            form = self._forms[key] = _Form(self._statement, dialect, values)
        return form


class _Form:
    """The text of a statement in one database, for values of one shape."""

    def __init__(
        self, statement: ClauseElement, dialect: Dialect, values: Mapping[str, object]
    ) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(values))
        state = compiled.construct_expanded_state(values)
        self.text: str = state.statement
        self._names: Sequence[str] | None = state.positiontup
        expansion: Mapping[str, Sequence[str]] = state.parameter_expansion
        self._lists = {name: places for name, places in expansion.items() if name in values}
        of_values = {*values, *chain.from_iterable(self._lists.values())}
        self._constants = {
            name: value for name, value in state.parameters.items() if name not in of_values
        }
        self._to_driver: list[tuple[str, Process]] = [
            (place, process)
            for name, bound in compiled.binds.items()
            if (process := _to_driver(bound.type, dialect)) is not None
            for place in expansion.get(name, (name,))
        ]
        columns = list(getattr(statement, "exported_columns", ()))
        row: Any = namedtuple("Row", [str(each.key) for each in columns], rename=True)  # type: ignore[misc] # noqa: PYI024 - its columns are known only now
        # What `_make` does, but for counting the columns of each row.
        self._record: Any = partial(tuple.__new__, row)
        self._from_driver = [
            (index, process)
            for index, each in enumerate(columns)
            if (process := _from_driver(each.type, dialect)) is not None
        ]

    def parameters(self, values: Mapping[str, object]) -> object:
        """Return the values as the driver takes them."""
        flat = {**self._constants, **values}
        for name, places in self._lists.items():
            flat.update(zip(places, cast("list[object]", flat.pop(name)), strict=True))
        for name, process in self._to_driver:
            flat[name] = process(flat[name])
        return flat if self._names is None else [flat[name] for name in self._names]

    def records(self, rows: Iterable[Sequence[object]]) -> list[Record]:
        """Return what the driver found, by the names of the columns."""
        return list(map(self._record, map(self._converted, rows) if self._from_driver else rows))

    def _converted(self, row: Sequence[object]) -> Sequence[object]:
        columns = list(row)
        for index, process in self._from_driver:
            columns[index] = process(columns[index])
        return columns


def _to_driver(column: TypeEngine[Any], dialect: Dialect) -> Process | None:
    process: Process | None = column.dialect_impl(dialect).bind_processor(dialect)
    return process


def _from_driver(column: TypeEngine[Any], dialect: Dialect) -> Process | None:
    process: Process | None = column.dialect_impl(dialect).result_processor(dialect, None)
    return process


def execute_text(tx: Connection, text: str) -> None:
    """Execute what has neither parameters nor rows, as the driver is given it."""
    _execute(tx, text, ())


def commit(tx: Connection) -> None:
    """Commit what was executed since the driver began a transaction."""
    if (transaction := tx.get_transaction()) is None:
        execute_text(tx, "COMMIT")
    else:
        transaction.commit()


def rollback(tx: Connection) -> None:
    """Undo it."""
    if (transaction := tx.get_transaction()) is not None:
        transaction.rollback()
    # Of a transaction whose commit failed SQLAlchemy believes that it is over.
    cast("Any", tx.connection.driver_connection).rollback()


def _execute(tx: Connection, text: str, parameters: Any, *, many: bool = False) -> Any:  # noqa: ANN401 - a cursor of either driver
    driver = cast("Any", tx.connection.driver_connection)
    try:
        if not many:
            return driver.execute(text, parameters)
        cursor = driver.cursor()
        cursor.executemany(text, parameters)
    except tx.dialect.loaded_dbapi.Error as error:
        if tx.dialect.is_disconnect(error, driver, None):
            tx.invalidate(error)
        raise DBAPIError.instance(
            text, None, error, tx.dialect.loaded_dbapi.Error, hide_parameters=True,
            dialect=tx.dialect,
        ) from error  # fmt: skip
    return cursor
