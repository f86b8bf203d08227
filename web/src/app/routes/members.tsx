import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { useViewAs, viewAs } from '@/api/view-as'
import { Page, PageHeader, Section } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { AddMemberDialog } from '@/features/access/add-member-dialog'
import { membersQuery, permissionsQuery } from '@/features/access/api'
import { MemberList } from '@/features/access/member-list'
import { Permitted } from '@/features/access/permitted'
import { PermittedButton } from '@/features/access/permitted-button'
import { RoleMatrix } from '@/features/access/role-matrix'
import { meQuery } from '@/features/identity/api'
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
      <Permitted permission="member:read">
        <Members key={project} project={project} />
      </Permitted>
      <div className="h-6 border-b border-line" />
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
  const me = useQuery(meQuery)
  const view = useViewAs()
  const own = me.data?.projects.find((one) => one.slug === project)?.role
  return (
    <Section title="Roles">
      {table.isError ? (
        <ProblemPanel error={table.error} onRetry={() => void table.refetch()} />
      ) : table.data ? (
        <RoleMatrix
          table={table.data}
          own={own}
          shown={view?.project === project ? view.role : null}
          onViewAs={(role) => viewAs({ project, role })}
        />
      ) : (
        <SkeletonRows />
      )}
    </Section>
  )
}
