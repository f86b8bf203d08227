import { useParams, useSearchParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { Page, PageHeader } from '@/components/page'
import { Select } from '@/components/ui/input'
import { TabNav } from '@/components/ui/tab-nav'
import { AuditView } from '@/features/audit/audit-view'
import { ChainState } from '@/features/audit/chain-state'
import { SecurityView } from '@/features/audit/security-view'
import { paths } from '@/lib/paths'
import NotFoundPage from './not-found'

export default function AuditPage() {
  const { project = '', tab = 'lines' } = useParams()
  const [search, setSearch] = useSearchParams()
  const session = useSession()
  const admin = session.phase === 'in' && session.user.is_admin
  const scope = { project, everywhere: admin && search.get('of') === 'installation' }
  if (tab !== 'lines' && tab !== 'security') return <NotFoundPage />
  const choose = (of: string) => setSearch(of === 'installation' ? { of } : {}, { replace: true })
  return (
    <Page title="Audit log">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title="Audit log"
          facts={<ChainState project={project} />}
          actions={
            admin ? (
              <Select
                aria-label="Of what"
                className="w-44 text-body"
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
        {tab === 'lines' ? (
          <AuditView key={`${project} ${scope.everywhere}`} scope={scope} />
        ) : (
          <SecurityView key={`${project} ${scope.everywhere}`} scope={scope} />
        )}
      </div>
    </Page>
  )
}
