import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query'
import type { ApiKey, Budget } from '@/api/generated/types.gen'
import { membersQuery, peopleQuery } from '@/features/access/api'
import { agentsQuery } from '@/features/agents/api'
import { accountKeysQuery, accountsQuery, ownKeysQuery } from '@/features/keys/api'
import { workflowsQuery } from '@/features/workflows/api'

/** Whom a budget may be for alone. */
export type Target = { id: string; name: string }

/** Scopes of which one member may be named. */
const NAMED: readonly Budget['scope'][] = ['workflow', 'agent', 'user', 'api_key']

/** How many pages of a list are read at most: people choose from it. */
const PAGES = 10

/** Whom a budget of this scope may be for; null: it is for no one in particular. */
export function useTargets(project: string, scope: Budget['scope'], installation: boolean): Target[] | null {
  const client = useQueryClient()
  const named = NAMED.includes(scope)
  const found = useQuery({
    queryKey: ['budgets', 'targets', project, scope, installation],
    queryFn: () => read(client, project, scope, installation),
    enabled: named,
  })
  return named ? (found.data ?? []) : null
}

async function read(
  client: QueryClient,
  project: string,
  scope: Budget['scope'],
  installation: boolean,
): Promise<Target[]> {
  switch (scope) {
    case 'workflow':
      return (await client.fetchQuery(workflowsQuery(project))).items
    case 'agent':
      return (await client.fetchQuery(agentsQuery(project))).items
    case 'user':
      return installation ? people(client) : members(client, project)
    case 'api_key':
      return keys(client, project, installation)
    default:
      return []
  }
}

async function members(client: QueryClient, project: string): Promise<Target[]> {
  const { items } = await client.fetchQuery(membersQuery(project))
  return items.map((one) => ({ id: one.user_id, name: one.name || one.email }))
}

async function people(client: QueryClient): Promise<Target[]> {
  const { pages } = await client.fetchInfiniteQuery({ ...peopleQuery(''), pages: PAGES })
  return pages.flatMap((page) => page.items).map((one) => ({ id: one.id, name: one.name || one.email }))
}

/** One's own keys, and those of the service accounts of the project: nobody is shown the keys of others. */
async function keys(client: QueryClient, project: string, installation: boolean): Promise<Target[]> {
  const usable = (key: ApiKey) => key.status === 'active' && (installation || key.projects.includes(project))
  const own = await client.fetchInfiniteQuery({ ...ownKeysQuery, pages: PAGES })
  const accounts = await client.fetchQuery(accountsQuery(project))
  const theirs = await Promise.all(
    accounts.items.map(async (account) => {
      const { pages } = await client.fetchInfiniteQuery({
        ...accountKeysQuery(project, account.id),
        pages: PAGES,
      })
      return pages
        .flatMap((page) => page.items)
        .filter(usable)
        .map((key) => ({ id: key.id, name: `${key.name} of ${account.name}` }))
    }),
  )
  const mine = own.pages.flatMap((page) => page.items).filter(usable)
  return [...mine.map((key) => ({ id: key.id, name: `${key.name} (yours)` })), ...theirs.flat()]
}
