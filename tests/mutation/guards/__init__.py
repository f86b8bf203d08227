"""Every guard of the product, and how it is taken out: a textual change, or a statement to the database.

A guard is a condition without which something would go wrong that a test can see. Taking one out must make a test
fail; `python -m tests.mutation` tries them all. A refactored text that no longer has the guard breaks the table loudly
(`test_guards.py`), and then needs its guards listed anew.

Each lies in the module of what it guards, whatever file its text is in: leases, claims, the end of an attempt and what
follows from it, consent, effects, budgets, secrets, the audit trail, the walls between projects, and so on.

What is not here, because taking it out changes nothing that can be seen: the attempt number and the status beside the
random token (the token alone decides, and a CHECK ties it to the status), locks that only keep an order of locks, and
a condition behind another one that says the same (an owner who asks for a deletion again is refused by an index too).
"""

from collections.abc import Sequence

from tests.mutation.guards.accepting import ACCEPTING
from tests.mutation.guards.advancing import ADVANCING
from tests.mutation.guards.ahead import AHEAD
from tests.mutation.guards.audit import AUDIT
from tests.mutation.guards.budgets import BUDGETS
from tests.mutation.guards.claims import CLAIMS
from tests.mutation.guards.clearance import CLEARANCE
from tests.mutation.guards.clocks import CLOCKS
from tests.mutation.guards.consent import CONSENT
from tests.mutation.guards.doubt import DOUBT
from tests.mutation.guards.effects import EFFECTS
from tests.mutation.guards.frames import FRAMES
from tests.mutation.guards.gateway import GATEWAY
from tests.mutation.guards.giving_back import GIVING_BACK
from tests.mutation.guards.governance import GOVERNANCE
from tests.mutation.guards.governing import GOVERNING
from tests.mutation.guards.guard import Guard
from tests.mutation.guards.holding import HOLDING
from tests.mutation.guards.identity import IDENTITY
from tests.mutation.guards.leases import LEASES
from tests.mutation.guards.outbox import OUTBOX
from tests.mutation.guards.recovery import RECOVERY
from tests.mutation.guards.secrets import SECRETS
from tests.mutation.guards.tenants import TENANTS
from tests.mutation.guards.waiting import WAITING
from tests.mutation.guards.walls import WALLS

GUARDS: Sequence[Guard] = (
    *LEASES,
    *CLAIMS,
    *AHEAD,
    *GIVING_BACK,
    *ADVANCING,
    *ACCEPTING,
    *HOLDING,
    *CLOCKS,
    *FRAMES,
    *WAITING,
    *EFFECTS,
    *CONSENT,
    *CLEARANCE,
    *BUDGETS,
    *DOUBT,
    *OUTBOX,
    *RECOVERY,
    *SECRETS,
    *AUDIT,
    *WALLS,
    *IDENTITY,
    *GATEWAY,
    *TENANTS,
    *GOVERNANCE,
    *GOVERNING,
)

__all__ = ["GUARDS", "Guard"]
