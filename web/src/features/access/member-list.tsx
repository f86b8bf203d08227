import { useState } from 'react'
import { Link } from 'react-router'
import type { Member, Role } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { useSession } from '@/api/use-session'
import { type Column, DataTable } from '@/components/data-table'
import { ConfirmDialog } from '@/components/dialog-form'
import { Moment } from '@/components/moment'
import { Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { paths } from '@/lib/paths'
import { useChangeMember, useRemoveMember } from './api'
import { ROLE_WORDS, useRefusal, useRole } from './may'
import { PermittedButton } from './permitted-button'

const ROLES = Object.keys(ROLE_WORDS) as Role[]

/** Who is what in a project, with the ways to change it. */
export function MemberList({ project, members }: { project: string; members: readonly Member[] }) {
  const session = useSession()
  const [leaving, setLeaving] = useState<Member | null>(null)
  const me = session.phase === 'in' ? session.user.id : null
  const columns: ReadonlyArray<Column<Member>> = [
    {
      id: 'name',
      header: 'Name',
      cell: (row) => (
        <>
          <span className="font-medium">{row.name}</span>
          {row.user_id === me ? <span className="text-ink-3"> (you)</span> : null}
        </>
      ),
    },
    {
      id: 'email',
      header: 'E-mail',
      cell: (row) =>
        isService(row) ? (
          <Link to={paths.account(project, row.user_id)} className="text-ink-2 underline">
            Service account
          </Link>
        ) : (
          row.email
        ),
    },
    {
      id: 'role',
      header: 'Role',
      width: '160px',
      cell: (row) => <RoleChoice project={project} member={row} />,
    },
    {
      id: 'joined',
      header: 'Since',
      width: '200px',
      wideOnly: true,
      cell: (row) => <Moment at={row.joined_at} />,
    },
    {
      id: 'remove',
      header: 'Action',
      acts: true,
      width: '120px',
      align: 'end',
      cell: (row) => (
        <PermittedButton
          permission="member:manage"
          project={project}
          size="sm"
          aria-label={`Remove ${row.name}`}
          onClick={() => setLeaving(row)}
        >
          Remove
        </PermittedButton>
      ),
    },
  ]
  return (
    <>
      <DataTable label="Members" columns={columns} rows={members} keyOf={(row) => row.user_id} />
      {leaving ? <RemoveDialog project={project} member={leaving} onClose={() => setLeaving(null)} /> : null}
    </>
  )
}

/** The role of a member; owners alone make and unmake owners. */
function RoleChoice({ project, member }: { project: string; member: Member }) {
  const refused = useRefusal(project)('member:manage')
  const own = useRole(project)
  const change = useChangeMember(project)
  const fixed = refused !== null || (member.role === 'owner' && own !== 'owner')
  if (fixed) return <span title={refused ?? 'Only owners unmake owners.'}>{ROLE_WORDS[member.role]}</span>
  const roles = own === 'owner' ? ROLES : ROLES.filter((role) => role !== 'owner')
  return (
    <Select
      aria-label={`Role of ${member.name}`}
      className="max-md:w-auto"
      value={change.isPending ? change.variables.role : member.role}
      disabled={change.isPending}
      onChange={(event) =>
        change.mutate(
          { userId: member.user_id, role: event.target.value as Role },
          {
            onSuccess: (now) => toast(`${now.name} is ${ROLE_WORDS[now.role].toLowerCase()} now`),
            onError: (error) => toast(asProblem(error).detail, { bad: true }),
          },
        )
      }
    >
      {roles.map((role) => (
        <option key={role} value={role}>
          {ROLE_WORDS[role]}
        </option>
      ))}
    </Select>
  )
}

function RemoveDialog({
  project,
  member,
  onClose,
}: {
  project: string
  member: Member
  onClose: () => void
}) {
  const remove = useRemoveMember(project)
  return (
    <ConfirmDialog
      open
      onClose={onClose}
      title={`Remove ${member.name}?`}
      cancel="Keep"
      action="Remove"
      danger
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(member.user_id, {
          onSuccess: () => {
            toast(`${member.name} was removed`)
            onClose()
          },
        })
      }
    >
      <p>
        From their next click on, {project} does not exist for {isService(member) ? 'it' : member.email}. What
        they have done stays, with their name. Runs that they started go on.
      </p>
    </ConfirmDialog>
  )
}

/** Accounts of machines have an address that nobody reads. */
const isService = (member: Member): boolean => member.email.endsWith('.service.invalid')
