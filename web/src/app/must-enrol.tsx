import type { User } from '@/api/generated/types.gen'
import { refreshSession } from '@/api/session'
import { Button } from '@/components/ui/button'
import { useSignOut } from '@/features/identity/api'
import { EnrolFactor } from '@/features/identity/enrol-factor'
import { Entrance } from './shell/entrance'

/** Stands before every page for somebody who has to have a second factor and has none yet. */
export default function MustEnrol({ user }: { user: User }) {
  const signOut = useSignOut()
  return (
    <Entrance title="Set up a second factor">
      <div className="grid gap-4">
        <p>
          This installation asks for a code of an app on your phone besides the password. Set it up to go on,{' '}
          {user.name}.
        </p>
        <EnrolFactor email={user.email} onDone={() => void refreshSession()} />
        <Button
          variant="ghost"
          className="justify-self-start"
          disabled={signOut.isPending}
          onClick={() => signOut.mutate()}
        >
          Sign out
        </Button>
      </div>
    </Entrance>
  )
}
