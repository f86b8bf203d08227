import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { DecisionsView } from '@/features/policies/decisions-view'

export default function DecisionsPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Decisions">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title="Decisions"
          facts="What was allowed, held or denied, by a rule or by default where none matched"
        />
        <DecisionsView
          key={project}
          scope={{ project }}
          opens="page"
          nothing="Every call of a model or a tool is judged, and runs, steps and outputs where a rule is on them: nothing of that has happened in this project yet."
        />
      </div>
    </Page>
  )
}
