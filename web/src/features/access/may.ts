import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import type { Permission, PermissionTable, Role } from '@/api/generated/types.gen'
import { useViewAs } from '@/api/view-as'
import { meQuery } from '@/features/identity/api'
import { permissionsQuery } from './api'

export const ROLE_WORDS = {
  owner: 'Owner',
  admin: 'Admin',
  developer: 'Developer',
  operator: 'Operator',
  viewer: 'Viewer',
} satisfies Record<Role, string>

/** Why a role does not allow something, and which do; null: it does, or nobody knows yet and the server will say. */
export function refusal(
  table: PermissionTable | undefined,
  role: Role | undefined,
  permission: Permission,
): string | null {
  const own = table?.roles.find((row) => row.role === role)
  if (!table || !own || own.permissions.includes(permission)) return null
  const able = table.roles.filter((row) => row.permissions.includes(permission)).map((row) => row.role)
  const word = table.permissions.find((row) => row.permission === permission)?.description ?? permission
  return `${word}: your role here is ${own.role}, and this takes ${listed(able)}.`
}

function listed(roles: readonly Role[]): string {
  if (roles.length < 2) return roles.join('')
  return `${roles.slice(0, -1).join(', ')} or ${roles.at(-1)}`
}

/** The role by which the pages of a project are shown: one's own, or the one that is looked through. */
export function useRole(project: string): Role | undefined {
  // Read only: the frame of the pages asks for it.
  const me = useQuery({ ...meQuery, enabled: false })
  const view = useViewAs()
  if (view?.project === project) return view.role
  return me.data?.projects.find((one) => one.slug === project)?.role
}

/** Says of permissions in the project of this page why they are lacking; null: they are not. */
export function useRefusal(project?: string): (permission: Permission) => string | null {
  const { project: here = '' } = useParams()
  const role = useRole(project ?? here)
  const table = useQuery({ ...permissionsQuery, enabled: false })
  return (permission) => refusal(table.data, role, permission)
}
