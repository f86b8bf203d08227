// Every address of the application in one place.

const segment = encodeURIComponent

export const paths = {
  login: (next?: string) => (next ? `/login?next=${segment(next)}` : '/login'),
  forgot: () => '/forgot',
  me: () => '/me',
  projects: () => '/projects',
  apiKeys: () => '/api-keys',
  accounts: (project: string) => `/p/${segment(project)}/service-accounts`,
  account: (project: string, id: string) => `/p/${segment(project)}/service-accounts/${segment(id)}`,
  users: () => '/admin/users',
  members: (project: string) => `/p/${segment(project)}/members`,
  runs: (project: string) => `/p/${segment(project)}/runs`,
  run: (project: string, id: string, tab = 'timeline') => `/p/${segment(project)}/runs/${segment(id)}/${tab}`,
  again: (project: string, id: string, kind: 'retry' | 'fork' | 'rerun', from?: string) =>
    `/p/${segment(project)}/runs/${segment(id)}/again/${kind}${from ? `?from=${segment(from)}` : ''}`,
  uncertain: (project: string) => `/p/${segment(project)}/uncertain`,
  control: (project: string) => `/p/${segment(project)}/control`,
  settings: (project: string) => `/p/${segment(project)}/settings`,
  approvals: (project: string) => `/p/${segment(project)}/approvals`,
  budgets: (project: string) => `/p/${segment(project)}/budgets`,
  budget: (project: string, id: string) => `/p/${segment(project)}/budgets/${segment(id)}`,
  secrets: (project: string) => `/p/${segment(project)}/secrets`,
  secret: (project: string, id: string) => `/p/${segment(project)}/secrets/${segment(id)}`,
  workflows: (project: string) => `/p/${segment(project)}/workflows`,
  workflow: (project: string, id: string) => `/p/${segment(project)}/workflows/${segment(id)}`,
  policies: (project: string) => `/p/${segment(project)}/policies`,
  policy: (project: string, id: string, tab = 'rules') =>
    `/p/${segment(project)}/policies/${segment(id)}/${tab}`,
  audit: (project: string, tab?: 'lines' | 'security') =>
    `/p/${segment(project)}/audit${tab ? `/${tab}` : ''}`,
  decisions: (project: string) => `/p/${segment(project)}/decisions`,
  decision: (project: string, id: string) => `/p/${segment(project)}/decisions/${segment(id)}`,
  violations: (project: string) => `/p/${segment(project)}/violations`,
  agents: (project: string) => `/p/${segment(project)}/agents`,
  agent: (project: string, id: string) => `/p/${segment(project)}/agents/${segment(id)}`,
  tools: (project: string) => `/p/${segment(project)}/tools`,
  tool: (project: string, id: string) => `/p/${segment(project)}/tools/${segment(id)}`,
} as const
