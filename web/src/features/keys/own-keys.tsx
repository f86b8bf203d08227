import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { PageHeader } from '@/components/page'
import { Paged } from '@/components/paged'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { meQuery } from '@/features/identity/api'
import { ownKeysQuery, useCreateKey, useRevokeKey } from './api'
import { KeyForm } from './key-form'
import { KeyList } from './key-list'
import { ShownKey } from './shown-key'

/** The keys that act for whoever is signed in. */
export function OwnKeys() {
  const found = useInfiniteQuery(ownKeysQuery)
  const [making, setMaking] = useState(false)
  const revoking = useRevokeKey()
  const button = (
    <Button variant="primary" onClick={() => setMaking(true)}>
      New key
    </Button>
  )
  const none = (
    <Empty title="No keys yet" action={button}>
      A key lets a program use the API in your name, in the projects and for the purposes that you choose. For
      what shall go on when you leave, use a service account of the project.
    </Empty>
  )
  return (
    <>
      <PageHeader
        title="API keys"
        facts="They act for you, within what you may do at the time"
        actions={button}
      />
      <Paged found={found} skeleton={4} empty={none}>
        {(keys) => <KeyList keys={keys} revoking={revoking} />}
      </Paged>
      <NewOwnKey open={making} onClose={() => setMaking(false)} />
    </>
  )
}

function NewOwnKey({ open, onClose }: { open: boolean; onClose: () => void }) {
  const me = useQuery(meQuery)
  const create = useCreateKey()
  const close = () => {
    create.reset()
    onClose()
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next ? undefined : close())}
      title={create.data ? `Key ${create.data.name}` : 'New key'}
    >
      {create.data ? (
        <ShownKey text={create.data.key} onDone={close} />
      ) : me.data ? (
        <KeyForm
          projects={me.data.projects}
          saving={create.isPending}
          error={create.error}
          onClose={close}
          onSave={(draft) => create.mutate(draft)}
        />
      ) : (
        <SkeletonRows rows={4} />
      )}
    </Dialog>
  )
}
