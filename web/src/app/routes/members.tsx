import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { viewAs } from '@/api/view-as'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { AddMemberDialog } from '@/features/access/add-member-dialog'
import { membersQuery, permissionsQuery } from '@/features/access/api'
import { useRole } from '@/features/access/may'
import { MemberList } from '@/features/access/member-list'
import { PermittedButton } from '@/features/access/permitted-button'
import { RoleMatrix } from '@/features/access/role-matrix'
import { paths } from '@/lib/paths'

export default function MembersPage() {
  const { project = '' } = useParams()
  const session = useSession()
  const [adding, setAdding] = useState(false)
  return (
    <Page title="Users and roles">
      <PageHeader
        title="Users and roles"
        facts={
          <>
            Who belongs to this project, and what their roles allow
            {session.phase === 'in' && session.user.is_admin ? (
              <>
                {' · '}
                <Link to={paths.users()} className="underline">
                  People of the installation
                </Link>
              </>
            ) : null}
          </>
        }
        actions={
          <PermittedButton permission="member:manage" variant="primary" onClick={() => setAdding(true)}>
            Add a member
          </PermittedButton>
        }
      />
      <Members key={project} project={project} />
      <Matrix project={project} />
      {adding ? <AddMemberDialog project={project} onClose={() => setAdding(false)} /> : null}
    </Page>
  )
}

function Members({ project }: { project: string }) {
  const members = useQuery(membersQuery(project))
  if (members.isError && !members.data) {
    return <ProblemPanel error={members.error} onRetry={() => void members.refetch()} />
  }
  if (!members.data) return <SkeletonRows rows={4} />
  return <MemberList project={project} members={members.data.items} />
}

function Matrix({ project }: { project: string }) {
  const table = useQuery(permissionsQuery)
  const own = useRole(project)
  return (
    <section aria-label="Roles" className="mt-6">
      <h2 className="border-y border-line bg-bg px-4 py-1.5 text-dense font-medium text-ink-2">Roles</h2>
      {table.isError ? (
        <ProblemPanel error={table.error} onRetry={() => void table.refetch()} />
      ) : table.data ? (
        <RoleMatrix table={table.data} own={own} onViewAs={(role) => viewAs({ project, role })} />
      ) : (
        <SkeletonRows />
      )}
    </section>
  )
}
