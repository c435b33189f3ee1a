"""Conditions of COQL: values quoted so that they stay values, and conditions that stay conditions. Pure.

Pages: COQL overview and limitations; a quote within a text is doubled (Kaizen post 171).
"""

import re

from callwright.domain.errors import InvalidInput, Problem

_LONGEST = 4000
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_CLAUSE = re.compile(
    r"\b(?:select|from|where|limit|offset|(?:order|group)\s+by|having|union)\b", re.IGNORECASE
)
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f]")
_REMEDY = "Give one COQL condition, such as `Lead_Status = 'New' and Mobile is not null`."


def quote(text: str) -> str:
    """A text as a COQL literal. Raises ValueError for a backslash or a control character, whose meaning in a literal
    Zoho's pages do not tell.
    """
    if _UNSAFE.search(text):
        raise ValueError(f"{text[:40]!r} cannot be written into a query")
    return "'" + text.replace("'", "''") + "'"


def checked_condition(condition: str) -> str:
    """The condition without spaces around it; raises InvalidInput when it would not end where it seems to.

    It stands between `where` and `limit` of a query: it may hold no other clause, no open quote or parenthesis.
    """
    text = condition.strip()
    problem = _problem(text)
    if problem:
        raise InvalidInput(Problem("query", f"the condition {problem}.", _REMEDY))
    return text


def _problem(text: str) -> str:
    if len(text) > _LONGEST:
        return f"has more than {_LONGEST} characters"
    if _UNSAFE.search(text):
        return "holds a backslash or a control character"
    plain = _LITERAL.sub("''", text)
    if plain.count("'") % 2:
        return "has a quote that is not closed"
    if ";" in plain or "--" in plain or "/*" in plain:
        return "holds more than a condition"
    clause = _CLAUSE.search(plain)
    if clause:
        return f"holds the clause `{clause[0]}`"
    depth = 0
    for character in plain:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    return "has parentheses that do not match" if depth else ""
