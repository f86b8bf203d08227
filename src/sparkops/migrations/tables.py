"""Every table of the platform, gathered for Alembic and for tests that build a schema."""

from sparkops.core.orm import Base
from sparkops.domains.agents import models as agents
from sparkops.domains.approvals import models as approvals
from sparkops.domains.artifacts import models as artifacts
from sparkops.domains.audit import models as audit
from sparkops.domains.budgets import models as budgets
from sparkops.domains.bus import models as bus
from sparkops.domains.control import models as control
from sparkops.domains.effects import models as effects
from sparkops.domains.idempotency import models as idempotency
from sparkops.domains.identity import factor_models as factors
from sparkops.domains.identity import key_models as keys
from sparkops.domains.identity import link_models as links
from sparkops.domains.identity import models as identity
from sparkops.domains.policies import models as policies
from sparkops.domains.projects import models as projects
from sparkops.domains.runs import models as runs
from sparkops.domains.secrets import models as secrets
from sparkops.domains.tools import models as tools
from sparkops.domains.upkeep import models as upkeep
from sparkops.domains.workflows import models as workflows

MODULES = (
    agents, approvals, artifacts, audit, budgets, bus, control, effects,
    factors, idempotency, identity, keys, links, policies, projects, runs, secrets, tools, upkeep, workflows,
)  # fmt: skip

metadata = Base.metadata
