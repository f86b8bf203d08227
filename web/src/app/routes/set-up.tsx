import { useState } from 'react'
import { useLocation, useNavigate } from 'react-router'
import { SetUpForm } from '@/features/identity/set-up-form'
import { paths } from '@/lib/paths'
import { Entrance } from '../shell/entrance'

/** Where the link leads that `sparkops up` prints for an installation without people. */
export default function SetUpPage() {
  const { hash } = useLocation()
  const [token] = useState(hash.slice(1))
  const navigate = useNavigate()
  return (
    <Entrance title="Set up Spark-Ops">
      <SetUpForm token={token} onDone={() => void navigate(paths.projects(), { replace: true })} />
    </Entrance>
  )
}
