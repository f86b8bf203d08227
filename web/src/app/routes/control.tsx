import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ControlView } from '@/features/control/control-view'

export default function ControlPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Control">
      <PageHeader title="Control" facts="What may run in this project, and the switches that hold it" />
      <ControlView key={project} project={project} />
    </Page>
  )
}
