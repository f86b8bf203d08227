import { Page } from '@/components/page'
import { OwnKeys } from '@/features/keys/own-keys'
import { TopBar } from '../shell/top-bar'

export default function ApiKeysPage() {
  return (
    <div className="grid h-full grid-rows-[44px_minmax(0,1fr)]">
      <TopBar project={null} />
      <main className="overflow-auto">
        <Page title="API keys">
          <OwnKeys />
        </Page>
      </main>
    </div>
  )
}
