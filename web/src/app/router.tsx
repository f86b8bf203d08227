import { createBrowserRouter, Navigate } from 'react-router'
import { RootLayout, Splash } from './root-layout'
import { RouteFailed } from './route-failed'
import { Keys } from './shell/keys'
import { SignedIn } from './signed-in'

/** A route whose code is loaded when it is opened. The module's default export is the page. */
const page = (load: () => Promise<{ default: React.ComponentType }>) => async () => ({
  Component: (await load()).default,
})

export const router = createBrowserRouter([
  {
    element: <RootLayout />,
    errorElement: <RouteFailed />,
    HydrateFallback: Splash,
    children: [
      { path: '/login', lazy: page(() => import('./routes/sign-in')) },
      { path: '/forgot', lazy: page(() => import('./routes/forgot')) },
      { path: '/reset', lazy: page(() => import('./routes/reset')) },
      { path: '/setup', lazy: page(() => import('./routes/set-up')) },
      {
        element: <SignedIn />,
        children: [
          { index: true, lazy: page(() => import('./routes/home')) },
          { path: 'projects', lazy: page(() => import('./routes/projects')) },
          { path: 'me', lazy: page(() => import('./routes/account')) },
          { path: 'api-keys', lazy: page(() => import('./routes/api-keys')) },
          { path: 'admin/users', lazy: page(() => import('./routes/users')) },
          { path: 'a/:approvalId', lazy: page(() => import('./routes/approval-link')) },
          {
            path: 'p/:project',
            lazy: page(() => import('./shell/shell')),
            errorElement: <RouteFailed />,
            children: [
              {
                element: <Keys />,
                // Keeps the frame when a page fails.
                errorElement: <RouteFailed />,
                children: [
                  { index: true, element: <Navigate to="runs" replace /> },
                  { path: 'runs', lazy: page(() => import('./routes/runs')) },
                  { path: 'runs/:runId', element: <Navigate to="timeline" replace /> },
                  { path: 'runs/:runId/:tab', lazy: page(() => import('./routes/run')) },
                  { path: 'runs/:runId/again/:kind', lazy: page(() => import('./routes/again')) },
                  { path: 'approvals', lazy: page(() => import('./routes/approvals')) },
                  { path: 'uncertain', lazy: page(() => import('./routes/uncertain')) },
                  { path: 'control', lazy: page(() => import('./routes/control')) },
                  { path: 'service-accounts', lazy: page(() => import('./routes/service-accounts')) },
                  {
                    path: 'service-accounts/:accountId',
                    lazy: page(() => import('./routes/service-account')),
                  },
                  { path: 'settings', lazy: page(() => import('./routes/settings')) },
                  { path: 'budgets', lazy: page(() => import('./routes/budgets')) },
                  { path: 'budgets/:budgetId', lazy: page(() => import('./routes/budget')) },
                  { path: 'secrets', lazy: page(() => import('./routes/secrets')) },
                  { path: 'secrets/:secretId', lazy: page(() => import('./routes/secret')) },
                  { path: 'workflows', lazy: page(() => import('./routes/workflows')) },
                  { path: 'workflows/new', lazy: page(() => import('./routes/new-workflow')) },
                  { path: 'workflows/:workflowId', element: <Navigate to="definition" replace /> },
                  { path: 'workflows/:workflowId/:tab', lazy: page(() => import('./routes/workflow')) },
                  { path: 'policies', lazy: page(() => import('./routes/policies')) },
                  { path: 'policies/new', lazy: page(() => import('./routes/new-policy')) },
                  { path: 'policies/:policyId', element: <Navigate to="rules" replace /> },
                  { path: 'policies/:policyId/:tab', lazy: page(() => import('./routes/policy')) },
                  { path: 'decisions', lazy: page(() => import('./routes/decisions')) },
                  { path: 'decisions/:decisionId', lazy: page(() => import('./routes/decision')) },
                  { path: 'violations', lazy: page(() => import('./routes/violations')) },
                  { path: 'audit', element: <Navigate to="lines" replace /> },
                  { path: 'audit/:tab', lazy: page(() => import('./routes/audit')) },
                  { path: 'agents', lazy: page(() => import('./routes/agents')) },
                  { path: 'agents/new', lazy: page(() => import('./routes/new-agent')) },
                  { path: 'agents/:agentId', element: <Navigate to="definition" replace /> },
                  { path: 'agents/:agentId/:tab', lazy: page(() => import('./routes/agent')) },
                  { path: 'tools', lazy: page(() => import('./routes/tools')) },
                  { path: 'tools/:toolId', lazy: page(() => import('./routes/tool')) },
                  { path: 'members', lazy: page(() => import('./routes/members')) },
                  { path: '*', lazy: page(() => import('./routes/not-found')) },
                ],
              },
            ],
          },
          { path: '*', lazy: page(() => import('./routes/not-found')) },
        ],
      },
    ],
  },
])
