import { useState } from 'react'
import { useLocation, useNavigate } from 'react-router'
import { closeSession } from '@/api/session'
import { toast } from '@/components/ui/toast'
import { ChoosePasswordForm } from '@/features/identity/choose-password-form'
import { paths } from '@/lib/paths'
import { Entrance } from '../shell/entrance'

/** Where a one-time link leads. Its token stands behind #, which browsers send to nobody. */
export default function ResetPage() {
  const { hash } = useLocation()
  const [token] = useState(hash.slice(1))
  const navigate = useNavigate()
  return (
    <Entrance title="Choose a password">
      <ChoosePasswordForm
        token={token}
        onChosen={() => {
          // Whoever was signed in here has been signed out on the server, if it was the same person.
          closeSession()
          toast('Password chosen. Sign in with it.')
          void navigate(paths.login(), { replace: true })
        }}
      />
    </Entrance>
  )
}
