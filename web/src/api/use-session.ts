import { useSyncExternalStore } from 'react'
import { readSession, type Session, subscribeSession } from './session'

export const useSession = (): Session => useSyncExternalStore(subscribeSession, readSession)
