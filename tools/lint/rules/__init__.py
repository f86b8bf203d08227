"""One file per rule; `tests/lint` has a sample that each must refuse and one that it must not."""

from typing import Final

from tools.lint.rules import (
    compare,
    evaluation,
    outgoing,
    programs,
    shell,
    sql_places,
    sql_scope,
    sql_text,
    transactions,
    unpickling,
    unsafe_pages,
    unscoped,
    yaml_load,
)
from tools.lint.source import Rule

RULES: Final[tuple[Rule, ...]] = (
    evaluation.RULE,
    unpickling.RULE,
    yaml_load.RULE,
    shell.RULE,
    programs.RULE,
    outgoing.RULE,
    compare.RULE,
    sql_places.RULE,
    sql_text.RULE,
    sql_scope.RULE,
    unscoped.RULE,
    transactions.RULE,
    unsafe_pages.RULE,
)
