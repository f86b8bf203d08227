"""The permission table, as it is enforced."""

from fastapi import APIRouter, Request

from sparkops.api.access import signed_in
from sparkops.api.permission_table import permission_table
from sparkops.api.views.access import PermissionTable

router = APIRouter(prefix="/permissions", tags=["permissions"])


@router.get("", openapi_extra=signed_in())
async def get_permissions(request: Request) -> PermissionTable:
    """Return who may do what: the table that this API enforces."""
    return permission_table(request.app)
