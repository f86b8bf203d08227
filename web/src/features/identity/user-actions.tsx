import { Ellipsis } from 'lucide-react'
import { useState } from 'react'
import type { UserLink } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { Menu, MenuItem } from '@/components/ui/menu'
import { toast } from '@/components/ui/toast'
import { useDisableUser, useEnableUser, useMakeUserLink } from './api'
import { useResetFactor } from './factor-api'
import { LinkDialog } from './link-dialog'

type UserActionsProps = {
  person: { id: string; name: string; disabled_at: string | null; has_factor: boolean }
}

/** What an administrator does about a person: a link to a new password, no second factor, keep out, let in again. */
export function UserActions({ person }: UserActionsProps) {
  const [made, setMade] = useState<UserLink | null>(null)
  const link = useMakeUserLink()
  const disable = useDisableUser()
  const enable = useEnableUser()
  const reset = useResetFactor()
  const onError = (error: unknown) => toast(asProblem(error).detail, { bad: true })
  return (
    <>
      <Menu
        label={`What to do about ${person.name}`}
        className="grid size-6 place-items-center rounded-md hover:bg-raised"
        trigger={<Ellipsis aria-hidden className="size-3.5" />}
      >
        {person.disabled_at === null ? (
          <>
            <MenuItem onSelect={() => link.mutate(person.id, { onSuccess: setMade, onError })}>
              Make a link to a new password
            </MenuItem>
            {person.has_factor ? (
              <MenuItem
                onSelect={() =>
                  reset.mutate(person.id, {
                    onSuccess: () => toast(`${person.name} has no second factor now, and is signed out`),
                    onError,
                  })
                }
              >
                Take the second factor away
              </MenuItem>
            ) : null}
            <MenuItem
              onSelect={() =>
                disable.mutate(person.id, {
                  onSuccess: () => toast(`${person.name} disabled, and signed out everywhere`),
                  onError,
                })
              }
            >
              Disable
            </MenuItem>
          </>
        ) : (
          <MenuItem
            onSelect={() =>
              enable.mutate(person.id, { onSuccess: () => toast(`${person.name} enabled`), onError })
            }
          >
            Enable
          </MenuItem>
        )}
      </Menu>
      <LinkDialog made={made} onClose={() => setMade(null)} />
    </>
  )
}
