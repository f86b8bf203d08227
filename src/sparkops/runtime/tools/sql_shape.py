"""How a write reads, as far as it takes to count what it would touch; no parser of SQL, and it does not pretend to be.

It tells the parts of a plain UPDATE or DELETE by its words outside of brackets, texts and comments, and gives up where
anything is unusual. What it makes is only ever run where nothing can be written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PICKED = "sparkops_picked"
"""The name of the part of `CountSql.text` whose place in a plan tells whether it may be run."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<text>[eE]'(?:[^'\\]|\\.|'')*' | (?:[uU]&|[bBxXnN])?'(?:[^']|'')*')
  | (?P<dollar>\$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w]*)?\$.*?\$(?(tag)(?P=tag))\$)
  | (?P<place>\$\d+)
  | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
  | (?P<number>\.?\d[\w.]*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_NAMES = frozenset({"word", "quoted"})
_WRITES = frozenset({"insert", "update", "delete", "merge", "with"})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement that is neither space nor comment. `depth` counts open brackets before it, `gap` stands
    for what is before it: nothing, a space, or an end of line."""

    kind: str
    text: str
    depth: int
    gap: str

    @property
    def word(self) -> str:
        """Return the keyword that it may be, in small letters; empty for what cannot be one."""
        return self.text.lower() if self.kind == "word" else ""


@dataclass(frozen=True, slots=True)
class CountSql:
    """A statement that counts what a write would touch. `places`: which of its parameters it takes, in its order."""

    text: str
    target: str
    places: Sequence[int]


def tokens_of(sql: str) -> list[Token]:
    """Return what the statement consists of, in order."""
    found: list[Token] = []
    place = depth = end = 0
    while place < len(sql):
        start = place
        match = _TOKEN.match(sql, place)
        assert match is not None, "something always fits"
        kind, text, place = str(match.lastgroup), match.group(), match.end()
        if kind == "comment":
            place = _after_comment(sql, place)
        elif kind != "space":
            depth -= text in ")]"
            between = sql[end:start]
            found.append(Token(kind, text, depth, "\n" if "\n" in between else between and " "))
            depth += text in "(["
            end = place
    return found


def _after_comment(sql: str, place: int) -> int:
    """Return where the comment ends that is open here; comments may stand in comments."""
    level = 1
    for edge in _COMMENT_EDGE.finditer(sql, place):
        level += 1 if edge.group() == "/*" else -1
        if level == 0:
            return edge.end()
    return len(sql)


def begins_as_write(sql: str) -> bool:
    """Say whether the first word is one of INSERT, UPDATE, DELETE, MERGE, or WITH."""
    first = tokens_of(sql)[:1]
    return bool(first) and first[0].word in _WRITES


def count_sql(sql: str, types: Sequence[str]) -> CountSql | None:
    """Return what counts the rows that an UPDATE or DELETE would touch; None: this cannot be told from how it reads.

    `types`: those of its parameters, as SQL writes them.
    """
    tokens = tokens_of(sql)
    if tokens and tokens[-1].text == ";":
        tokens.pop()
    parts = _parts(tokens)
    if parts is None:
        return None
    places: dict[int, int] = {}
    target, others, condition = (_written(part, types, places) for part in (parts.target, parts.others, parts.where))
    rows = f"FROM {target}{', ' + others if others else ''}{' WHERE ' + condition if condition else ''}"
    # With others beside it a row may be met several times, and is changed once.
    what = f"DISTINCT {parts.alias}.tableoid, {parts.alias}.ctid" if others else "1"
    # lint: allow sql-text -- an author's own condition, run where nothing can be written
    text = f"WITH {PICKED} AS (SELECT {what} {rows}) SELECT count(*) FROM {PICKED}"  # noqa: S608 -- its own
    return CountSql(text, "".join(token.text for token in parts.name), list(places))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an UPDATE or DELETE consists of: its target as it may stand after FROM, with its name and what it is called
    in the rest; the tables beside it; and its condition."""

    target: Sequence[Token]
    name: Sequence[Token]
    alias: str
    others: Sequence[Token]
    where: Sequence[Token]


def _parts(tokens: Sequence[Token]) -> _Parts | None:
    words = [token.word for token in tokens[:2]]
    if words[:1] == ["update"]:
        return _told(tokens[1:], ends=frozenset({"set"}), others="from")
    if words == ["delete", "from"]:
        return _told(tokens[2:], ends=frozenset({"using", "where", "returning"}), others="using")
    return None


def _told(tokens: Sequence[Token], *, ends: frozenset[str], others: str) -> _Parts | None:
    until = next((n for n, token in enumerate(tokens) if token.word in ends), len(tokens))
    target = [token for token in tokens[:until] if token.text != "*"]
    named = target[1:] if target and target[0].word == "only" else target
    length = _length_of_name(named)
    alias = [token for token in named[length:] if token.word != "as"]
    if length == 0 or len(alias) > 1 or not all(token.kind in _NAMES for token in alias):
        return None
    clauses = _clauses(tokens[until:], others)
    where = clauses.get("where", [])
    of_cursor = [token.word for token in where[:2]] == ["current", "of"]
    if of_cursor or (ends == {"set"} and "set" not in clauses):
        return None
    called = alias[0].text if alias else "".join(token.text for token in named[:length])
    return _Parts(target, named[:length], called, clauses.get(others, []), where)


def _length_of_name(tokens: Sequence[Token]) -> int:
    """Return how many tokens make the name of a table: `name`, `schema.name`, `database.schema.name`."""
    if not tokens or tokens[0].kind not in _NAMES:
        return 0
    length = 1
    while len(tokens) > length + 1 and tokens[length].text == "." and tokens[length + 1].kind in _NAMES:
        length += 2
    return length


def _clauses(tokens: Sequence[Token], others: str) -> Mapping[str, list[Token]]:
    """Return the clauses from here by their first words, in the order in which a statement may have them."""
    order = ["set", others, "where", "returning"]
    found: dict[str, list[Token]] = {}
    current: list[Token] = []
    before = ""
    for token in tokens:
        word = token.word if token.depth == 0 and before != "distinct" else ""
        if word in order:
            del order[: order.index(word) + 1]
            current = found[word] = []
        else:
            current.append(token)
        before = token.word
    return found


def _written(tokens: Sequence[Token], types: Sequence[str], places: dict[int, int]) -> str:
    """Return tokens as SQL, with a number of their own for the parameters in them, which keep their types."""
    return "".join(
        token.gap + (_place(token, types, places) if token.kind == "place" else token.text) for token in tokens
    )


def _place(token: Token, types: Sequence[str], places: dict[int, int]) -> str:
    number = int(token.text[1:])
    if not 0 < number <= len(types):
        return token.text
    return f"CAST(${places.setdefault(number, len(places) + 1)} AS {types[number - 1]})"
