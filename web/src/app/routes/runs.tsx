import { useQuery } from '@tanstack/react-query'
import { Play } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { useParams, useSearchParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { PermittedButton } from '@/features/access/permitted-button'
import { openApprovalsQuery } from '@/features/approvals/api'
import type { RunFilters } from '@/features/runs/api'
import { readFilters, writeFilters } from '@/features/runs/filters'
import { RunsToolbar } from '@/features/runs/runs-toolbar'
import { RunsView } from '@/features/runs/runs-view'
import { workflowsQuery } from '@/features/workflows/api'
import { RunWorkflow } from '../run-workflow'

export default function RunsPage() {
  const { project = '' } = useParams()
  const [search, setSearch] = useSearchParams()
  const [starting, setStarting] = useState(false)
  const workflows = useQuery(workflowsQuery(project))
  const approvals = useQuery(openApprovalsQuery(project))
  const filters = readFilters(search)
  const setFilters = (next: RunFilters) => setSearch(writeFilters(next), { replace: true })
  // While somebody types, the list may lag behind the field.
  const listed = useDeferredValue(search.toString())
  const open = () => setStarting(true)
  return (
    <Page title="Runs">
      <PageHeader
        title="Runs"
        actions={
          <PermittedButton permission="run:create" variant="primary" onClick={open}>
            <Play aria-hidden />
            Run workflow
          </PermittedButton>
        }
      />
      <RunsToolbar
        filters={filters}
        workflows={workflows.data?.items.map((one) => one.name) ?? []}
        onChange={setFilters}
      />
      <RunsView
        project={project}
        filters={readFilters(new URLSearchParams(listed))}
        onFilters={setFilters}
        waiting={new Set(approvals.data?.items.map((one) => one.run_id))}
        start={<Button onClick={open}>Start the first run</Button>}
      />
      <RunWorkflow project={project} open={starting} onOpenChange={setStarting} />
    </Page>
  )
}
