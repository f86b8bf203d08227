"""Who may do what: the one table from which the API, the pages and the documentation are derived."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is in a project; each may do what the next one in this list may, and more."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    VIEWER = "viewer"


class Permission(StrEnum):
    """One thing that may be allowed. Those of a project come with a role; the others with the whole installation."""

    PROJECT_READ = "project:read"
    PROJECT_UPDATE = "project:update"
    PROJECT_DELETE = "project:delete"
    MEMBER_READ = "member:read"
    MEMBER_MANAGE = "member:manage"
    RUN_READ = "run:read"
    RUN_CREATE = "run:create"
    RUN_CONTROL = "run:control"
    RUN_RESOLVE = "run:resolve"
    EVENT_READ = "event:read"
    EVENT_SEND = "event:send"
    WORKFLOW_READ = "workflow:read"
    WORKFLOW_WRITE = "workflow:write"
    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    TOOL_READ = "tool:read"
    APPROVAL_READ = "approval:read"
    APPROVAL_DISCUSS = "approval:discuss"
    APPROVAL_ANSWER = "approval:answer"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    POLICY_PUBLISH = "policy:publish"
    VIOLATION_ANSWER = "violation:answer"
    BUDGET_READ = "budget:read"
    BUDGET_MANAGE = "budget:manage"
    HALT_READ = "halt:read"
    HALT_ORDER = "halt:order"
    SECRET_READ = "secret:read"  # noqa: S105 -- a name
    SECRET_MANAGE = "secret:manage"  # noqa: S105 -- a name
    ACCOUNT_READ = "account:read"
    ACCOUNT_MANAGE = "account:manage"
    AUDIT_READ = "audit:read"

    PROJECT_CREATE = "project:create"
    USER_MANAGE = "user:manage"
    INSTALLATION_AUDIT = "installation:audit"
    INSTALLATION_MANAGE = "installation:manage"


DESCRIPTIONS: Final[Mapping[Permission, str]] = {
    Permission.PROJECT_READ: "See the project and its settings",
    Permission.PROJECT_UPDATE: "Change the project's settings and limits",
    Permission.PROJECT_DELETE: "Delete the project with all its data",
    Permission.MEMBER_READ: "See who belongs to the project",
    Permission.MEMBER_MANAGE: "Add and remove members, and change their roles",
    Permission.RUN_READ: "See runs with their steps, calls, values and files",
    Permission.RUN_CREATE: "Start runs; retry, fork and repeat them",
    Permission.RUN_CONTROL: "Cancel, pause and resume runs",
    Permission.RUN_RESOLVE: "Say what became of a call whose outcome is unknown",
    Permission.EVENT_READ: "See events that were sent to the project",
    Permission.EVENT_SEND: "Send events that runs wait for",
    Permission.WORKFLOW_READ: "See workflows",
    Permission.WORKFLOW_WRITE: "Write workflows and set their limits",
    Permission.AGENT_READ: "See agents",
    Permission.AGENT_WRITE: "Write agents",
    Permission.TOOL_READ: "See tools",
    Permission.APPROVAL_READ: "See questions to people, and their answers",
    Permission.APPROVAL_DISCUSS: "Write to a question",
    Permission.APPROVAL_ANSWER: "Answer questions, where the rules name them",
    Permission.POLICY_READ: "See policies, decisions, violations and backtests",
    Permission.POLICY_WRITE: "Draft policies, test and backtest them",
    Permission.POLICY_PUBLISH: "Publish and withdraw policies",
    Permission.VIOLATION_ANSWER: "Acknowledge and resolve violations",
    Permission.BUDGET_READ: "See budgets and costs",
    Permission.BUDGET_MANAGE: "Define, change and archive budgets",
    Permission.HALT_READ: "See what is halted",
    Permission.HALT_ORDER: "Pause and stop the project or a workflow, and release it",
    Permission.SECRET_READ: "See which secrets there are, never what they hold",
    Permission.SECRET_MANAGE: "Write, rotate and archive secrets",
    Permission.ACCOUNT_READ: "See service accounts and their keys",
    Permission.ACCOUNT_MANAGE: "Add service accounts, and make and revoke their keys",
    Permission.AUDIT_READ: "Read and export the audit log of the project",
    Permission.PROJECT_CREATE: "Create projects; whoever is signed in may, where `project_creators` is `everybody`",
    Permission.USER_MANAGE: "Add, disable and reset people of the installation",
    Permission.INSTALLATION_AUDIT: "Read, export and verify the audit log of the installation",
    Permission.INSTALLATION_MANAGE: "Change what holds for the whole installation",
}
"""What a permission allows, in words for people."""

INSTALLATION: Final = frozenset(
    {
        Permission.PROJECT_CREATE,
        Permission.USER_MANAGE,
        Permission.INSTALLATION_AUDIT,
        Permission.INSTALLATION_MANAGE,
    }
)
"""What administrators of the installation may do, whatever their role in a project."""

_VIEWER = frozenset(
    {
        Permission.PROJECT_READ,
        Permission.MEMBER_READ,
        Permission.RUN_READ,
        Permission.EVENT_READ,
        Permission.WORKFLOW_READ,
        Permission.AGENT_READ,
        Permission.TOOL_READ,
        Permission.APPROVAL_READ,
        Permission.POLICY_READ,
        Permission.BUDGET_READ,
        Permission.HALT_READ,
    }
)
_OPERATOR = _VIEWER | {
    Permission.RUN_CREATE,
    Permission.RUN_CONTROL,
    Permission.RUN_RESOLVE,
    Permission.EVENT_SEND,
    Permission.APPROVAL_DISCUSS,
    Permission.APPROVAL_ANSWER,
    Permission.VIOLATION_ANSWER,
    Permission.HALT_ORDER,
}
_DEVELOPER = _OPERATOR | {
    Permission.WORKFLOW_WRITE,
    Permission.AGENT_WRITE,
    Permission.POLICY_WRITE,
    Permission.SECRET_READ,
    Permission.ACCOUNT_READ,
}
_ADMIN = frozenset(Permission) - INSTALLATION - {Permission.PROJECT_DELETE}
_OWNER = _ADMIN | {Permission.PROJECT_DELETE}

ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _DEVELOPER,
    Role.OPERATOR: _OPERATOR,
    Role.VIEWER: _VIEWER,
}
"""What each role may do in its project. An owner alone makes and unmakes owners, and deletes the project."""
ANSWERING: Final = frozenset(role for role, allowed in ROLES.items() if Permission.APPROVAL_ANSWER in allowed)
