import { type ComponentProps, useId } from 'react'
import type { Permission } from '@/api/generated/types.gen'
import { Button, type ButtonLook } from '@/components/ui/button'
import { useRefusal } from './may'

type PermittedButtonProps = ComponentProps<'button'> & ButtonLook & { permission: Permission; project?: string }

/** A button for what not every role allows. Where the role does not, it stays, does nothing, and says who may. */
export function PermittedButton({ permission, project, onClick, ...rest }: PermittedButtonProps) {
  const refused = useRefusal(project)(permission)
  const id = useId()
  if (refused === null) return <Button onClick={onClick} {...rest} />
  return (
    <>
      {/* Not `disabled`: it can be reached and read with the keyboard. */}
      <Button
        {...rest}
        type="button"
        aria-disabled
        aria-describedby={id}
        title={refused}
        onClick={(event) => event.preventDefault()}
      />
      <span id={id} className="sr-only">
        {refused}
      </span>
    </>
  )
}
