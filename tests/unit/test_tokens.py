"""Access tokens: what one says is remembered, and no longer than it counts."""

import base64
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from sparkops.api.tokens import DEVICE_LIFETIME, LIFETIME, Claims, Signer
from sparkops.core.clock import utc_now
from sparkops.core.errors import Unauthenticated

PATIENCE = 10.0


def test_a_token_that_was_read_before_runs_out_all_the_same() -> None:
    signer, user_id, session_id = Signer("k" * 32), uuid4(), uuid4()
    token = signer.issue(user_id=user_id, session_id=session_id, now=utc_now() - LIFETIME + timedelta(seconds=2))
    assert signer.read(token) == signer.read(token) == Claims(user_id, session_id)

    with pytest.raises(Unauthenticated, match="run out"):
        _read_until_refused(signer, token)


def _read_until_refused(signer: Signer, token: str) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        signer.read(token)


def test_a_token_is_not_taken_for_one_that_was_read_before() -> None:
    signer, now = Signer("k" * 32), utc_now()
    token = signer.issue(user_id=uuid4(), session_id=uuid4(), now=now)
    signer.read(token)

    head, body, signature = token.split(".")
    other = signer.issue(user_id=uuid4(), session_id=uuid4(), now=now).split(".")[1]
    for forged in (f"{head}.{other}.{signature}", f"{head}.{body}.", token[:-4]):
        with pytest.raises(Unauthenticated, match="not valid"):
            signer.read(forged)


def test_what_a_browser_kept_counts_until_it_has_run_out_or_the_account_has_changed() -> None:
    signer, now = Signer("k" * 32), utc_now()
    kept = signer.device("zoe old-password no-factor", now=now)
    assert signer.device("zoe old-password no-factor", now=now) != kept
    assert len(base64.urlsafe_b64decode(kept)) >= 2 * 16, "128 bits of chance, and as many of proof"
    which = signer.read_device(kept, "zoe old-password no-factor", now=now + DEVICE_LIFETIME - timedelta(seconds=2))
    assert which is not None
    assert signer.read_device(kept, "zoe old-password no-factor", now=now + DEVICE_LIFETIME) is None
    assert signer.read_device(kept, "zoe new-password no-factor", now=now) is None
    assert Signer("l" * 32).read_device(kept, "zoe old-password no-factor", now=now) is None
    for odd in ("", "A" * 48, "A" * 40, kept[:-4], kept + "AAAA", "é", kept.swapcase()):
        assert signer.read_device(odd, "zoe old-password no-factor", now=now) is None
