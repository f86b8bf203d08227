import { EditorView } from '@codemirror/view'
import { act, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { aProblem, aWorkflow } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { WorkflowEditor } from './workflow-editor'

// jsdom measures no text; the editor asks where the cursor is drawn.
Range.prototype.getClientRects ??= () => [] as unknown as DOMRectList

const SOURCE = 'version: 1\nname: weather-report\nsteps:\n  - id: a\n    type: tool\n    tool: noop\n'
const workflow = () => {
  const plain = aWorkflow(null)
  return { ...plain, latest: { ...plain.latest, source: SOURCE } }
}

const WRONG_TOOL = {
  path: 'steps[0].tool',
  message: 'there is no tool nop here',
  line: 6,
  column: 11,
  hint: 'did you mean noop?',
}

beforeEach(() => {
  localStorage.clear()
  server.use(
    http.post(api('/workflows/validate'), async ({ request }) => {
      const { source } = (await request.json()) as { source: string }
      const errors = source.includes('tool: nop\n') ? [WRONG_TOOL] : []
      return HttpResponse.json({ valid: errors.length === 0, errors })
    }),
  )
})

const editor = () => {
  const view = EditorView.findFromDOM(document.body)
  if (!view) throw new Error('no editor is shown')
  return view
}

const write = (text: string) =>
  act(() => editor().dispatch({ changes: { from: 0, to: editor().state.doc.length, insert: text } }))

/** What the signs in the gutter say. */
const markers = () =>
  Array.from(document.querySelectorAll('.cm-problem-marker'), (sign) => sign.getAttribute('title'))

const saveButton = () => screen.getByRole('button', { name: 'Save as new version' })

describe('the workflow editor', () => {
  it('says that a valid text has no problems, and offers nothing to save', async () => {
    show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    expect(await screen.findByText('No problems')).toBeInTheDocument()
    expect(saveButton()).toBeDisabled()
  })

  it('marks what the server finds wrong in the gutter and lists it with its place', async () => {
    show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    write(SOURCE.replace('noop', 'nop'))
    const problems = screen.getByRole('region', { name: 'Problems' })
    const entry = await within(problems).findByRole('button', {
      name: /6:11.*there is no tool nop here.*did you mean noop/,
    })
    expect(markers()).toEqual(['there is no tool nop here (did you mean noop?)'])
    expect(document.querySelector('.cm-problem')).toHaveTextContent('nop')
    await userEvent.click(entry)
    const { state } = editor()
    expect(state.sliceDoc(state.selection.main.head, state.selection.main.head + 3)).toBe('nop')
  })

  it('takes the marks away when the text is right again', async () => {
    show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    write(SOURCE.replace('noop', 'nop'))
    await waitFor(() => expect(markers()).toHaveLength(1))
    write(SOURCE)
    expect(await screen.findByText('No problems')).toBeInTheDocument()
    expect(markers()).toEqual([])
  })

  it('saves the text as the next version', async () => {
    const saved = vi.fn()
    const posted: unknown[] = []
    server.use(
      http.post(api('/workflows/wf-1/versions'), async ({ request }) => {
        posted.push(await request.json())
        return HttpResponse.json({ ...workflow().latest, version: 4 }, { status: 201 })
      }),
    )
    show(<WorkflowEditor workflow={workflow()} onSaved={saved} />)
    write(`${SOURCE}# more\n`)
    await userEvent.click(saveButton())
    await waitFor(() => expect(saved).toHaveBeenCalled())
    expect(posted).toEqual([{ source: `${SOURCE}# more\n` }])
    expect(localStorage).toHaveLength(0)
  })

  it('lists what a refused save says', async () => {
    server.use(
      http.post(api('/workflows/wf-1/versions'), () =>
        HttpResponse.json(aProblem(422, 'invalid', 'Not valid', { errors: [WRONG_TOOL] }), { status: 422 }),
      ),
    )
    show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    write(`${SOURCE}# more\n`)
    await userEvent.click(saveButton())
    expect(await screen.findByRole('button', { name: /6:11/ })).toBeInTheDocument()
  })

  it('says a conflict in words', async () => {
    server.use(
      http.post(api('/workflows/wf-1/versions'), () =>
        HttpResponse.json(aProblem(409, 'conflict', 'Somebody else saved a version just now.'), {
          status: 409,
        }),
      ),
    )
    show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    write(`${SOURCE}# more\n`)
    await userEvent.click(saveButton())
    expect(await screen.findByRole('alert')).toHaveTextContent('Somebody else saved a version just now.')
  })

  it('takes up a draft that was left, and says when it was overtaken', async () => {
    const first = show(<WorkflowEditor workflow={workflow()} onSaved={() => {}} />)
    write(`${SOURCE}# draft\n`)
    first.unmount()
    const newer = workflow()
    show(
      <WorkflowEditor workflow={{ ...newer, latest: { ...newer.latest, version: 4 } }} onSaved={() => {}} />,
    )
    expect(editor().state.doc.toString()).toContain('# draft')
    expect(screen.getByText(/Version 4 was saved meanwhile/)).toBeInTheDocument()
    await userEvent.click(screen.getByRole('button', { name: 'Discard draft' }))
    expect(editor().state.doc.toString()).toBe(SOURCE)
  })
})
