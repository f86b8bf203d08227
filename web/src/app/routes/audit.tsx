import { useParams, useSearchParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { Page, PageHeader } from '@/components/page'
import { Empty } from '@/components/states'
import { Select } from '@/components/ui/input'
import { TabNav } from '@/components/ui/tab-nav'
import { useRefusal } from '@/features/access/may'
import { AuditView } from '@/features/audit/audit-view'
import { ChainState } from '@/features/audit/chain-state'
import { SecurityView } from '@/features/audit/security-view'
import { paths } from '@/lib/paths'
import NotFoundPage from './not-found'

export default function AuditPage() {
  const { project = '', tab = 'lines' } = useParams()
  const [search, setSearch] = useSearchParams()
  const session = useSession()
  const refusal = useRefusal()
  const admin = session.phase === 'in' && session.user.is_admin
  const scope = { project, everywhere: admin && search.get('of') === 'installation' }
  if (tab !== 'lines' && tab !== 'security') return <NotFoundPage />
  const refused = scope.everywhere ? null : refusal('audit:read')
  const choose = (of: string) => setSearch(of === 'installation' ? { of } : {}, { replace: true })
  return (
    <Page title="Audit log">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title="Audit log"
          facts={refused ? null : <ChainState scope={scope} />}
          actions={
            admin ? (
              <Select
                aria-label="Of what"
                className="w-48 text-body"
                value={scope.everywhere ? 'installation' : 'project'}
                onChange={(event) => choose(event.target.value)}
              >
                <option value="project">Project {project}</option>
                <option value="installation">The whole installation</option>
              </Select>
            ) : null
          }
        />
        <TabNav
          label="Audit log"
          tabs={[
            { to: paths.audit(project, 'lines'), label: 'Lines' },
            { to: paths.audit(project, 'security'), label: 'Security events' },
          ]}
        />
        {refused ? (
          <Empty title="Not for your role">{refused}</Empty>
        ) : tab === 'lines' ? (
          <AuditView key={`${project} ${scope.everywhere}`} scope={scope} />
        ) : (
          <SecurityView key={`${project} ${scope.everywhere}`} scope={scope} />
        )}
      </div>
    </Page>
  )
}
