import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { UncertainView } from '@/features/uncertain/uncertain-view'

export default function UncertainPage() {
  const { project = '' } = useParams()
  return (
    <Page title="In doubt">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader title="In doubt" facts="Effects of which nobody knows whether they happened" />
        <UncertainView key={project} project={project} />
      </div>
    </Page>
  )
}
