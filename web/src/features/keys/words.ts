import type { ApiKey, KeyScope, Role } from '@/api/generated/types.gen'

export const STATUSES = { active: 'Active', expired: 'Expired', revoked: 'Revoked' } satisfies Record<
  ApiKey['status'],
  string
>

/** The roles that a service account may have. */
export const ACCOUNT_ROLES = ['viewer', 'operator', 'developer', 'admin'] as const

/** How long a key may last, by the value of its choice; null: until it is revoked. */
export const LASTS: ReadonlyArray<{ value: string; days: number | null; label: string }> = [
  { value: '7', days: 7, label: '7 days' },
  { value: '30', days: 30, label: '30 days' },
  { value: '90', days: 90, label: '90 days' },
  { value: '365', days: 365, label: 'A year' },
  { value: 'never', days: null, label: 'Until it is revoked' },
]

/** Scopes by what they are about: `run:read` and `run:create` stand under `run`. */
export function grouped(scopes: readonly KeyScope[]): ReadonlyArray<[string, readonly KeyScope[]]> {
  const groups = new Map<string, KeyScope[]>()
  for (const scope of scopes) {
    const about = scope.scope.split(':')[0] ?? ''
    groups.set(about, [...(groups.get(about) ?? []), scope])
  }
  return [...groups]
}

/** The scopes that somebody in one of these roles can give away. */
export const givable = (scopes: readonly KeyScope[], roles: readonly Role[]): readonly KeyScope[] =>
  scopes.filter((scope) => scope.roles.some((role) => roles.includes(role)))

/** A command that tells whether a key works. */
export const tryOut = (key: string, origin: string): string =>
  `curl -H "Authorization: Bearer ${key}" ${origin}/api/v1/me`
