"""The reference page of the format: whatever it shows is a valid definition, and it forgets no type and no rule."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from sparkops.domains.workflows.definition import StepType, parse_definition
from sparkops.domains.workflows.options import JoinRule

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
HEAD = "version: 1\nname: example\ninput: {additionalProperties: true}\nsteps:\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_workflow_or_the_steps_of_one(example: str) -> None:
    source = example if example.startswith("version:") else HEAD + indent(example, "  ")
    assert parse_definition(source, agents=None, tools=None).steps


def test_every_type_and_every_join_rule_is_shown() -> None:
    for kind in StepType:
        assert f"### {kind}\n" in PAGE
        assert any(f"type: {kind}" in example for example in EXAMPLES), kind
    for rule in JoinRule:
        assert f"| `{rule}`" in PAGE or f"| `{{{rule}: n}}`" in PAGE, rule
