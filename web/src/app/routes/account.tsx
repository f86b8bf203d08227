import { useQuery } from '@tanstack/react-query'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { meQuery } from '@/features/identity/api'
import { FactorSection } from '@/features/identity/factor-section'
import { PasswordForm } from '@/features/identity/password-form'
import { ProfileForm } from '@/features/identity/profile-form'
import { SessionList } from '@/features/identity/session-list'
import { TopBar } from '../shell/top-bar'

/** The caller's own page: who they are, their password, and where they are signed in. */
export default function AccountPage() {
  const me = useQuery(meQuery)
  return (
    <div className="grid h-full grid-rows-[44px_minmax(0,1fr)]">
      <TopBar project={null} />
      <main className="overflow-auto">
        <Page title="Your account">
          <PageHeader title="Your account" facts={me.data?.user.email} />
          {me.isPending ? <SkeletonRows rows={4} /> : null}
          {me.isError ? <ProblemPanel error={me.error} onRetry={() => void me.refetch()} /> : null}
          {me.data ? (
            <>
              <div className="grid max-w-4xl gap-8 px-4 py-4 md:grid-cols-2">
                <ProfileForm name={me.data.user.name} />
                <PasswordForm email={me.data.user.email} />
              </div>
              <FactorSection />
              <SessionList />
            </>
          ) : null}
        </Page>
      </main>
    </div>
  )
}
