import { Check } from 'lucide-react'
import { Fragment } from 'react'
import type { PermissionTable, Role } from '@/api/generated/types.gen'
import { Button } from '@/components/ui/button'
import { ROLE_WORDS } from './may'

type RoleMatrixProps = {
  table: PermissionTable
  /** The column that is one's own. */
  own: Role | undefined
  /** The role that the pages are shown as, in a preview. */
  shown: Role | null
  onViewAs: (role: Role) => void
}

/** The first column stays where the table is wider than the page. */
const FIRST = 'sticky left-0 w-auto bg-surface px-2 pl-4 group-hover:bg-raised max-md:max-w-44'

/** What each role allows, as the server enforces it. */
export function RoleMatrix({ table, own, shown, onViewAs }: RoleMatrixProps) {
  const rows = table.permissions.filter((row) => row.scope === 'project')
  const groups = [...new Set(rows.map((row) => areaOf(row.permission)))]
  return (
    <section aria-label="What each role allows" tabIndex={0} className="overflow-x-auto">
      <table aria-label="Permissions by role" className="w-full min-w-[720px] border-collapse text-left">
        <thead>
          <tr className="border-b border-line text-dense text-ink-3">
            <th scope="col" className={`h-7 pb-1.5 align-bottom font-normal ${FIRST}`}>
              What it allows
            </th>
            {table.roles.map(({ role }) => (
              <th key={role} scope="col" className="w-28 px-2 py-1.5 align-bottom font-normal">
                <span className="block font-medium text-ink">
                  {ROLE_WORDS[role]}
                  {role === own ? <span className="font-normal text-ink-3"> (you)</span> : null}
                </span>
                <Button
                  size="sm"
                  className="mt-1 aria-pressed:border-ink aria-pressed:bg-raised"
                  aria-label={`View as ${ROLE_WORDS[role].toLowerCase()}`}
                  aria-pressed={role === shown}
                  onClick={() => onViewAs(role)}
                >
                  View as
                </Button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <Fragment key={group}>
              <tr className="border-b border-line bg-bg">
                <th
                  scope="colgroup"
                  colSpan={table.roles.length + 1}
                  className="h-7 px-2 pl-4 text-dense font-medium text-ink-2"
                >
                  {AREAS[group] ?? group}
                </th>
              </tr>
              {rows
                .filter((row) => areaOf(row.permission) === group)
                .map((row) => (
                  <tr key={row.permission} className="group border-b border-line hover:bg-raised">
                    <th
                      scope="row"
                      className={`h-8 py-1 font-normal ${FIRST}`}
                      title={row.operations.join(', ')}
                    >
                      {row.description}{' '}
                      <code className="font-mono text-dense text-ink-3">{row.permission}</code>
                    </th>
                    {table.roles.map(({ role, permissions }) => (
                      <td key={role} className="px-2">
                        {permissions.includes(row.permission) ? (
                          <Check role="img" aria-label="yes" className="size-3.5" />
                        ) : (
                          <span aria-hidden className="text-ink-3">
                            –
                          </span>
                        )}
                        {permissions.includes(row.permission) ? null : <span className="sr-only">no</span>}
                      </td>
                    ))}
                  </tr>
                ))}
            </Fragment>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const areaOf = (permission: string): string => permission.split(':', 1)[0] ?? ''

const AREAS: Record<string, string> = {
  project: 'Project',
  member: 'Members',
  run: 'Runs',
  event: 'Events',
  workflow: 'Workflows',
  agent: 'Agents',
  tool: 'Tools',
  approval: 'Approvals',
  policy: 'Policies',
  violation: 'Violations',
  budget: 'Budgets',
  halt: 'Halts',
  secret: 'Secrets',
  account: 'Service accounts',
  audit: 'Audit log',
}
