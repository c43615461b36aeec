import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Root } from './support.js'

describe('delete', () => {
  it('deletes a sandbox, and says nothing', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.cli('delete a')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(readdirSync(root.path)).toEqual([])
    expect(await root.cli('delete a')).toEqual({
      status: 1,
      stdout: '',
      stderr: `sandbox-state: NOT_FOUND: there is no sandbox a in ${root.path}\n`,
    })
  })

  it('refuses a running one, unless it is forced', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('transition a running')
    const { status, stderr } = await root.cli('delete a')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: INVALID_TRANSITION: sandbox a is running/)
    expect(root.file('a')).toMatchObject({ state: 'running' })
    await root.done('delete a --force')
    expect(await root.done('list')).toBe('')
  })

  it('deletes one that cannot be read only when it is forced', async () => {
    const root = new Root()
    root.put('a', 'nonsense')
    const { status, stderr } = await root.cli('delete a')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: CORRUPT_STATE: /)
    await root.done('delete a --force')
    expect(await root.done('list')).toBe('')
  })

  it('says a line to a person, and prints null as JSON: there is no state any more', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('create b')
    expect(await root.done('delete a', { terminal: true })).toBe('a: deleted\n')
    expect(await root.done('delete b --format json')).toBe('null\n')
  })
})
