import { expect, test } from 'vitest'
import { withCase } from './add-case'

const CASE = '  - name: x\n    on: tool.call\n'

test('a policy without tests gets a list of them', () => {
  expect(withCase('name: a\nrules: []', CASE)).toBe(`name: a\nrules: []\ntests:\n${CASE}`)
})

test('a test is put after the others, as deep as they are', () => {
  expect(withCase('tests:\n  - name: y\n', CASE)).toBe(`tests:\n  - name: y\n${CASE}`)
  expect(withCase('tests:\n- name: y\n', CASE)).toBe('tests:\n- name: y\n- name: x\n  on: tool.call\n')
  expect(withCase('tests:\n    - name: y\n', CASE)).toBe(
    'tests:\n    - name: y\n    - name: x\n      on: tool.call\n',
  )
})

test('what is not a plain list at the end is left alone', () => {
  expect(withCase('tests: []\nrules: []\n', CASE)).toBeNull()
  expect(withCase('tests:\n  - name: y\nrules: []\n', CASE)).toBeNull()
  expect(withCase('{"tests": []}', CASE)).toBeNull()
})
