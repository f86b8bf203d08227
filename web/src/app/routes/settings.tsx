import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { SettingsView } from '@/features/settings/settings-view'

export default function SettingsPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Settings">
      <PageHeader title="Settings" facts="How long this project keeps what has ended, and its end" />
      <SettingsView key={project} project={project} />
    </Page>
  )
}
