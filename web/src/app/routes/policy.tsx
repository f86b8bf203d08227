import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from 'react-router'
import type { PolicyDetail } from '@/api/generated/types.gen'
import { useSession } from '@/api/use-session'
import { Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { TabNav } from '@/components/ui/tab-nav'
import { policyQuery } from '@/features/policies/api'
import { BacktestView } from '@/features/policies/backtest-view'
import { DecisionsView } from '@/features/policies/decisions-view'
import { PolicyEditor } from '@/features/policies/policy-editor'
import { PublishButton } from '@/features/policies/publish-dialog'
import { RulesView } from '@/features/policies/rules-view'
import { PolicyVersions } from '@/features/policies/versions-view'
import { WithdrawButton } from '@/features/policies/withdraw-dialog'
import { standing } from '@/features/policies/words'
import { paths } from '@/lib/paths'
import NotFoundPage from './not-found'

export default function PolicyPage() {
  const { project = '', policyId = '', tab = 'rules' } = useParams()
  const session = useSession()
  const found = useQuery(policyQuery(policyId))
  if (found.isPending) return <SkeletonRows rows={14} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  const policy = found.data
  const admin = session.phase === 'in' && session.user.is_admin
  const mine = policy.project !== null || admin
  const to = (name: string) => paths.policy(project, policyId, name)
  const edit = mine ? [{ to: to('edit'), label: 'Edit and test' }] : []
  return (
    <Page title={policy.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title={policy.name}
          facts={<Facts policy={policy} />}
          actions={mine ? <Actions project={project} policy={policy} editing={tab === 'edit'} /> : null}
        />
        <TabNav
          label="Policy"
          tabs={[
            { to: to('rules'), label: 'Rules', count: policy.latest.rules.length },
            ...edit,
            { to: to('backtest'), label: 'Backtest' },
            { to: to('decisions'), label: 'Decisions' },
            { to: to('versions'), label: 'Versions', count: policy.latest_version },
          ]}
        />
        <Tab key={policy.id} project={project} tab={tab} policy={policy} mine={mine} />
      </div>
    </Page>
  )
}

function Facts({ policy }: { policy: PolicyDetail }) {
  const words =
    policy.active_version === null
      ? `version ${policy.latest_version} is saved`
      : policy.active_version === policy.latest_version
        ? `version ${policy.active_version}`
        : `version ${policy.active_version}; version ${policy.latest_version} is saved`
  return (
    <>
      <Status face={standing(policy)} />, {words}
      {policy.project === null ? ', for the whole installation' : ''}, changed{' '}
      <Moment at={policy.updated_at} />
      {policy.description ? <span className="block max-w-3xl truncate">{policy.description}</span> : null}
    </>
  )
}

type ActionsProps = { project: string; policy: PolicyDetail; editing: boolean }

/** One primary action a page: while it is edited, that is to save. */
function Actions({ project, policy, editing }: ActionsProps) {
  return (
    <>
      {policy.active_version === null ? null : <WithdrawButton project={project} policy={policy} />}
      {policy.active_version === policy.latest_version ? null : (
        <PublishButton
          key={policy.latest_version}
          project={project}
          policy={policy}
          version={policy.latest_version}
          variant={editing ? 'secondary' : 'primary'}
        />
      )}
    </>
  )
}

type TabProps = { project: string; tab: string; policy: PolicyDetail; mine: boolean }

function Tab({ project, tab, policy, mine }: TabProps) {
  const navigate = useNavigate()
  switch (tab) {
    case 'rules':
      return <RulesView version={policy.latest} active={policy.active_version} />
    case 'edit':
      return mine ? (
        <PolicyEditor
          project={project}
          policy={policy}
          onSaved={() => void navigate(paths.policy(project, policy.id))}
        />
      ) : (
        <NotFoundPage />
      )
    case 'backtest':
      return <BacktestView project={project} policy={policy} />
    case 'decisions':
      return (
        <DecisionsView
          scope={{ project, policy: policy.id }}
          opens="beside"
          nothing="No rule of this policy has decided anything yet."
        />
      )
    case 'versions':
      return <PolicyVersions project={project} policy={policy} />
    default:
      return <NotFoundPage />
  }
}
