import { KeyRound, LogOut, UserRound, Users } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { useNavigate } from 'react-router'
import { useSession } from '@/api/use-session'
import { Menu, MenuChoice, MenuItem, MenuLine, MenuNote } from '@/components/ui/menu'
import { useSignOut } from '@/features/identity/api'
import { paths } from '@/lib/paths'
import { chooseTheme, readTheme, subscribeTheme, type Theme } from '@/lib/theme'

const THEMES: ReadonlyArray<{ value: Theme; label: string }> = [
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
  { value: 'system', label: 'As the system' },
]

function initials(name: string): string {
  const words = name.trim().split(/\s+/)
  const letters = words.length > 1 ? [words[0]?.[0], words.at(-1)?.[0]] : [name.slice(0, 2)]
  return letters.join('').toUpperCase()
}

export function UserMenu() {
  const session = useSession()
  const theme = useSyncExternalStore(subscribeTheme, readTheme)
  const signOut = useSignOut()
  const navigate = useNavigate()
  if (session.phase !== 'in') return null
  const { name, email } = session.user
  return (
    <Menu
      label={`Your menu, ${name}`}
      className="grid size-7 place-items-center rounded-full bg-raised text-dense font-semibold hover:bg-line"
      trigger={initials(name || email)}
    >
      <MenuNote>
        <div className="font-medium text-ink">{name}</div>
        <div>{email}</div>
      </MenuNote>
      <MenuLine />
      <MenuChoice label="Theme" value={theme} options={THEMES} onChange={chooseTheme} />
      <MenuLine />
      <MenuItem onSelect={() => void navigate(paths.me())}>
        <UserRound aria-hidden />
        Your account
      </MenuItem>
      <MenuItem onSelect={() => void navigate(paths.apiKeys())}>
        <KeyRound aria-hidden />
        API keys
      </MenuItem>
      {session.user.is_admin ? (
        <MenuItem onSelect={() => void navigate(paths.users())}>
          <Users aria-hidden />
          People
        </MenuItem>
      ) : null}
      <MenuItem onSelect={() => signOut.mutate()}>
        <LogOut aria-hidden />
        Sign out
      </MenuItem>
    </Menu>
  )
}
