"""Only what the author of a definition wrote refers to a secret."""

from typing import Any

import pytest

from sparkops.domains.secrets.reference import MixedReference, Reference, pieces, whole, written_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("secret://stripe-key", Reference("stripe-key")),
        ("secret://db_password?version=12", Reference("db_password", 12)),
        ("secret://stripe-key?version=0", None),
        ("secret://Stripe", None),
        (" secret://stripe-key", None),
        ("secret://", None),
        ("secret://../other", None),
    ],
)
def test_a_reference_is_a_name_and_perhaps_a_version(text: str, found: Reference | None) -> None:
    assert whole(text) == found
    assert found is None or str(found) == text


def test_references_stand_within_a_text() -> None:
    text = "Basic secret://user:secret://password?version=2!"
    assert list(pieces(text)) == ["Basic ", Reference("user"), ":", Reference("password", 2), "!"]


def test_references_of_a_definition_are_found_with_their_places() -> None:
    parameters: dict[str, Any] = {
        "headers": {"Authorization": "Bearer secret://token", "X": "${{ input.x }}"},
        "list": ["plain", "secret://second"],
        "secret://as-a-key": 1,
    }
    assert written_in(parameters) == {
        ("headers", "Authorization"): "Bearer secret://token",
        ("list", 1): "secret://second",
    }


def test_what_an_expression_gives_is_no_reference() -> None:
    assert written_in({"x": "${{ 'secret://token' }}", "y": "${{ input.secret }}"}) == {}


def test_a_reference_beside_an_expression_is_refused() -> None:
    with pytest.raises(MixedReference, match=r"^secret://token and an expression$"):
        written_in({"x": "Bearer secret://token ${{ input.x }}"})
