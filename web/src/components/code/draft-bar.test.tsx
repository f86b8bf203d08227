import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter, Link, RouterProvider, useNavigate } from 'react-router'
import { beforeEach, expect, test, vi } from 'vitest'
import { DraftBar } from './draft-bar'
import { useDraft } from './use-draft'

function Editor() {
  const draft = useDraft('a', { text: 'old', base: 1 })
  const navigate = useNavigate()
  const save = () => {
    draft.saved()
    void navigate('/away')
  }
  return (
    <>
      <textarea aria-label="Text" value={draft.text} onChange={(event) => draft.change(event.target.value)} />
      <DraftBar draft={draft} from="Editing" latest={1}>
        <button type="button" onClick={save}>
          Save
        </button>
      </DraftBar>
      <Link to="/away">Away</Link>
    </>
  )
}

async function write() {
  const router = createMemoryRouter([
    { path: '/', element: <Editor /> },
    { path: '/away', element: <p>Gone</p> },
  ])
  render(<RouterProvider router={router} />)
  await userEvent.type(screen.getByLabelText('Text'), ' and new')
}

const press = (name: string, role = 'button') => userEvent.click(screen.getByRole(role, { name }))
const noRoom = () =>
  vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
    throw new DOMException('full', 'QuotaExceededError')
  })

beforeEach(() => localStorage.clear())

test('a kept draft may be left, and is there again', async () => {
  await write()
  expect(screen.getByText(/Draft kept in this browser/)).toBeVisible()
  await press('Away', 'link')
  expect(screen.getByText('Gone')).toBeVisible()
})

test('a draft that could not be kept is left only on purpose', async () => {
  noRoom()
  await write()
  await press('Away', 'link')
  await press('Stay')
  expect(screen.getByLabelText('Text')).toHaveValue('old and new')
  await press('Away', 'link')
  await press('Leave and lose it')
  expect(screen.getByText('Gone')).toBeVisible()
})

test('what is saved may be left', async () => {
  noRoom()
  await write()
  await press('Save')
  expect(screen.getByText('Gone')).toBeVisible()
})
