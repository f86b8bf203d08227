import { ForgotForm } from '@/features/identity/forgot-form'
import { Entrance } from '../shell/entrance'

export default function ForgotPage() {
  return (
    <Entrance title="Forgotten password">
      <ForgotForm />
    </Entrance>
  )
}
