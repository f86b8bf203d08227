import { type ComponentProps, type ReactNode, useId } from 'react'
import { Link } from 'react-router'
import type { Permission } from '@/api/generated/types.gen'
import { Button, type ButtonLook, buttonClass } from '@/components/ui/button'
import { useRefusal } from './may'

type PermittedButtonProps = ComponentProps<'button'> &
  ButtonLook & { permission: Permission; project?: string }

/** A button for what not every role allows. Where the role does not, it stays, does nothing, and says who may. */
export function PermittedButton({ permission, project, ...rest }: PermittedButtonProps) {
  return <ReasonedButton refused={useRefusal(project)(permission)} {...rest} />
}

type ReasonedButtonProps = ComponentProps<'button'> & ButtonLook & { refused: string | null }

/** A button that, where something is against it, stays, does nothing, and says what; null: nothing is. */
export function ReasonedButton({ refused, onClick, ...rest }: ReasonedButtonProps) {
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

type PermittedLinkProps = { permission: Permission; to: string; children: ReactNode } & ButtonLook

/** A link that looks like a button, to where a role may change something; without the permission it leads nowhere. */
export function PermittedLink({ permission, to, children, ...look }: PermittedLinkProps) {
  const refused = useRefusal()(permission)
  if (refused === null) {
    return (
      <Link to={to} className={buttonClass(look)}>
        {children}
      </Link>
    )
  }
  return (
    <PermittedButton permission={permission} {...look}>
      {children}
    </PermittedButton>
  )
}
