import { useEffect, useState } from 'react'
import { Outlet, useNavigate, useParams } from 'react-router'
import { Dialog, DialogBody } from '@/components/ui/dialog'
import { listenToHotkeys, readHotkeys, useHotkeys } from '@/lib/hotkeys'
import { paths } from '@/lib/paths'

/** Around the pages of a project: the keys that work on all of them, and the sheet that lists those that work here. */
export function Keys() {
  const { project = '' } = useParams()
  const [shown, setShown] = useState(false)
  const navigate = useNavigate()
  const go = (to: string) => () => void navigate(to)
  useEffect(() => listenToHotkeys(document), [])
  useHotkeys('Everywhere', [
    { keys: 'g r', label: 'Go to runs', run: go(paths.runs(project)) },
    { keys: 'g a', label: 'Go to approvals', run: go(paths.approvals(project)) },
    { keys: 'g d', label: 'Go to what is in doubt', run: go(paths.uncertain(project)) },
    { keys: 'g c', label: 'Go to control', run: go(paths.control(project)) },
    { keys: 'g p', label: 'Go to policies', run: go(paths.policies(project)) },
    { keys: 'g e', label: 'Go to decisions', run: go(paths.decisions(project)) },
    { keys: 'g v', label: 'Go to violations', run: go(paths.violations(project)) },
    { keys: 'g w', label: 'Go to workflows', run: go(paths.workflows(project)) },
    { keys: '?', label: 'Show these keys', run: () => setShown(true) },
  ])
  return (
    <>
      <Outlet />
      <Dialog
        open={shown}
        onOpenChange={setShown}
        title="Keys"
        description="They rest while you write in a field."
      >
        <DialogBody>
          <Sheet />
        </DialogBody>
      </Dialog>
    </>
  )
}

function Sheet() {
  return readHotkeys().map((group) => (
    <section key={group.title} aria-label={group.title}>
      <h3 className="mb-1 text-dense font-medium text-ink-3">{group.title}</h3>
      <dl className="grid grid-cols-[72px_1fr] gap-y-1">
        {group.hotkeys.map((hotkey) => (
          <div key={hotkey.keys} className="contents">
            <dt className="flex gap-1">
              {hotkey.keys.split(' ').map((key, index) => (
                <Key key={index} name={key} />
              ))}
            </dt>
            <dd>{hotkey.label}</dd>
          </div>
        ))}
      </dl>
    </section>
  ))
}

function Key({ name }: { name: string }) {
  return (
    <kbd className="h-5 min-w-5 rounded-sm border border-line-strong bg-raised px-1 text-center font-mono text-dense leading-[18px]">
      {name.length === 1 ? name.toUpperCase() : name}
    </kbd>
  )
}
