import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ToolList } from '@/features/tools/tool-list'

export default function ToolsPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Tools">
      <PageHeader title="Tools" facts="What agents and workflows of this project may use" />
      <ToolList project={project} />
    </Page>
  )
}
