"""A subset of COQL: select columns from a module where conditions, in pairs, order by, limit (COQL pages)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callwright.integrations.zoho.simulator.modules import Module
from callwright.integrations.zoho.simulator.replies import Refusal

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(>=|<=|!=|[=<>(),])|([^\s=<>!(),']+))")
_NOT_QUERIED = frozenset({"Notes"})
_NOT_IN_CRITERIA = frozenset({"textarea"})
_MOST_COLUMNS = 50
_MOST_ROWS = 2000
_MOST_IN_LIST = 50
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}

Test = Callable[[dict[str, Any]], bool]


@dataclass(slots=True)
class Query:
    """A parsed query."""

    module: str
    columns: list[str]
    test: Test
    order: list[tuple[str, bool]]
    offset: int
    limit: int

    def run(self, rows: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """The selected columns of the rows that match, and whether there are more."""
        found = [row for row in rows if self.test(row)]
        found.sort(key=lambda row: int(row["id"]))
        for name, descending in reversed(self.order):
            found = sorted(found, key=_by(name), reverse=descending)
        page = found[self.offset : self.offset + self.limit]
        return [self._project(row) for row in page], len(found) > self.offset + self.limit

    def _project(self, row: dict[str, Any]) -> dict[str, Any]:
        picked = {name: row.get(name) for name in self.columns}
        for name, value in picked.items():
            if isinstance(value, dict) and "id" in value:
                picked[name] = {"id": value["id"]}
        return picked | {"id": row["id"]}


def parse(text: str, modules: dict[str, Module]) -> Query:
    """Read a query; raises Refusal with Zoho's SYNTAX_ERROR, INVALID_QUERY or LIMIT_EXCEEDED."""
    return _Parser(_tokens(text), modules).query()


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _syntax(text[position : position + 20])
        found.append(match.group().strip())
        position = match.end()
    return found


def _syntax(near: str) -> Refusal:
    return Refusal(400, "SYNTAX_ERROR", "invalid query formed", {"near": near, "line": 1, "column": 1})


def _clause(name: str) -> Refusal:
    return Refusal(400, "SYNTAX_ERROR", "missing clause", {"clause": name})


def _column(name: str, reason: str = "column given seems to be invalid") -> Refusal:
    return Refusal(400, "INVALID_QUERY", reason, {"column_name": name})


class _Parser:
    def __init__(self, tokens: list[str], modules: dict[str, Module]) -> None:
        self._tokens = tokens
        self._modules = modules
        self._at = 0
        self._module: Module

    def query(self) -> Query:
        self._expect("select")
        columns = self._names()
        self._expect("from")
        name = self._next()
        if name not in self._modules or name in _NOT_QUERIED:
            raise Refusal(400, "INVALID_QUERY", "invalid query formed", {"module": name})
        self._module = self._modules[name]
        for column in columns:
            self._known(column)
        if len(columns) > _MOST_COLUMNS:
            raise Refusal(400, "LIMIT_EXCEEDED", "too many columns", {"limit": _MOST_COLUMNS})
        if not self._take("where"):
            raise _clause("where")
        test = self._criteria()
        order = self._order()
        offset, limit = self._limit()
        if self._at != len(self._tokens):
            raise _syntax(self._tokens[self._at])
        return Query(name, columns, test, order, offset, limit)

    def _criteria(self) -> Test:
        """Two terms at most; more are nested in pairs of parentheses."""
        left = self._term()
        for word, join in (("and", _both), ("or", _either)):
            if self._take(word):
                right = self._term()
                if self._peek() in {"and", "or"}:
                    raise _syntax(self._peek())
                return join(left, right)
        return left

    def _term(self) -> Test:
        if self._take("("):
            test = self._criteria()
            self._expect(")")
            return test
        name = self._next()
        self._known(name)
        if self._module.fields[name].type in _NOT_IN_CRITERIA:
            raise _column(name, "data type not supported")
        return self._comparison(name)

    def _comparison(self, name: str) -> Test:
        operator = self._next().lower()
        if operator == "is":
            negated = self._take("not")
            self._expect("null")
            return lambda row: (row.get(name) is None) != negated
        negated = operator == "not"
        if negated:
            operator = self._next().lower()
        test = self._positive(name, operator)
        return (lambda row: not test(row)) if negated else test

    def _positive(self, name: str, operator: str) -> Test:
        if operator == "in":
            self._expect("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._expect(")")
            if len(values) > _MOST_IN_LIST:
                raise Refusal(400, "LIMIT_EXCEEDED", "too many values", {"limit": _MOST_IN_LIST})
            return lambda row: any(_equal(row.get(name), value) for value in values)
        if operator == "like":
            pattern = _like(str(self._value()))
            return lambda row: isinstance(row.get(name), str) and bool(pattern.match(row[name]))
        if operator == "between":
            low = self._value()
            self._expect("and")
            high = self._value()
            return lambda row: _compare(">=", row.get(name), low) and _compare("<=", row.get(name), high)
        if operator not in _COMPARE:
            raise _syntax(operator)
        value = self._value()
        return lambda row: _compare(operator, row.get(name), value)

    def _order(self) -> list[tuple[str, bool]]:
        if not self._take("order"):
            return []
        self._expect("by")
        found = []
        while True:
            name = self._next()
            self._known(name)
            descending = self._take("desc")
            if not descending:
                self._take("asc")
            found.append((name, descending))
            if not self._take(","):
                return found

    def _limit(self) -> tuple[int, int]:
        if not self._take("limit"):
            return 0, 200
        first = self._number()
        offset, limit = 0, first
        if self._take(","):
            offset, limit = first, self._number()
        elif self._take("offset"):
            offset = self._number()
        if limit > _MOST_ROWS:
            raise Refusal(400, "LIMIT_EXCEEDED", "limit exceeded", {"limit": _MOST_ROWS})
        return offset, limit

    def _names(self) -> list[str]:
        names = [self._next()]
        while self._take(","):
            names.append(self._next())
        return names

    def _known(self, name: str) -> None:
        if name not in self._module.fields:
            raise _column(name)

    def _value(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.lower() in {"true", "false"}:
            return token.lower() == "true"
        try:
            return float(token)
        except ValueError:
            raise _syntax(token) from None

    def _number(self) -> int:
        token = self._next()
        if not token.isdigit():
            raise _syntax(token)
        return int(token)

    def _peek(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise _syntax(self._peek() or word)

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise _syntax("end of query")
        self._at += 1
        return self._tokens[self._at - 1]


def _by(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: str(row.get(name) or "")


def _both(left: Test, right: Test) -> Test:
    return lambda row: left(row) and right(row)


def _either(left: Test, right: Test) -> Test:
    return lambda row: left(row) or right(row)


def _like(pattern: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in pattern.split("%"))
    return re.compile("^" + ".*".join(parts) + "$", re.IGNORECASE | re.DOTALL)


def _equal(held: Any, wanted: Any) -> bool:
    return _compare("=", held, wanted)


def _compare(operator: str, held: Any, wanted: Any) -> bool:
    left, right = _comparable(held, wanted)
    if left is None:
        return operator == "!="
    return _COMPARE[operator](left, right)


def _comparable(held: Any, wanted: Any) -> tuple[Any, Any]:
    """Both sides as values of one kind: ids of lookups, moments, numbers, booleans, else texts in lower case."""
    if isinstance(held, dict):
        held = held.get("id")
    if held is None:
        return None, None
    if isinstance(held, bool):
        return str(held).lower(), str(wanted).lower()
    if isinstance(held, (int, float)):
        return float(held), float(wanted)
    moments = _moment(str(held)), _moment(str(wanted))
    if None not in moments:
        return moments
    return str(held).casefold(), str(wanted).casefold()


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
