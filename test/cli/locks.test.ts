import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { SandboxStore, StateStoreError } from 'sandbox-state'
import { describe, expect, it } from 'vitest'
import type { Backend } from '#src/backend.js'
import { nextMessage, startProgram } from '../support/program.js'
import { holdLock } from './hold-lock.js'
import { Root, spawnCli } from './support.js'

async function sandboxes(): Promise<Root> {
  const root = new Root()
  for (const id of ['a', 'b', 'c']) await root.done(`create ${id}`)
  return root
}

describe('locks', () => {
  it('tells who holds what, and since when', async () => {
    const root = await sandboxes()
    const holder = startProgram('holder', [root.path, 'b'])
    await nextMessage(holder)
    mkdirSync(join(root.path, 'c', 'state.json.lock'))
    const { status, stdout, stderr } = await root.cli('locks')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^ID {2}LOCK +SINCE +BY$/)
    expect(lines[1]).toMatch(new RegExp(`^b   flock +[\\d.]+s ago +pid ${holder.pid} \\(.*holder.*\\)$`))
    expect(lines[2]).toMatch(/^c {3}proper-lockfile +[\d.]+s ago +another program \(proper-lockfile\)$/)
    expect(lines).toHaveLength(4)

    const json = JSON.parse(await root.done('locks --format json'))
    expect(json).toMatchObject([
      { id: 'b', lock: 'flock', pid: holder.pid, since: expect.stringMatching(/^\d{4}-.*Z$/) },
      { id: 'c', lock: 'proper-lockfile', since: expect.any(String) },
    ])
    expect(JSON.parse(await root.done('locks b --format json'))).toEqual([json[0]])
    expect(await root.done('locks a')).toBe('')
  })

  it('tells of a holder that is not of this package, and changes nothing', async () => {
    const root = await sandboxes()
    using _ = holdLock(root, 'a')
    const before = root.snapshot()
    const { stdout } = await spawnCli(['--root', root.path, 'locks', '--format', 'json'])
    expect(JSON.parse(stdout)).toMatchObject([{ id: 'a', lock: 'flock' }])
    expect(root.snapshot()).toEqual(before)
  })

  it('says nothing of no locks, except to a person', async () => {
    const root = await sandboxes()
    expect(await root.cli('locks')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('locks --format json')).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    const { stderr } = await root.cli('locks', { terminal: true })
    expect(stderr).toBe(`nobody holds a sandbox in ${root.path}\n`)
    expect((await root.cli('locks a', { terminal: true })).stderr).toBe('nobody holds a\n')
  })

  it('fails for what is no id and no root, and for a sandbox that does not exist', async () => {
    const root = await sandboxes()
    expect(await root.cli('locks nobody')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('NOT_FOUND: there is no sandbox nobody'),
    })
    expect(await root.cli('locks ..')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('INVALID_ID'),
    })
    const { status, stderr } = await new Root('/dev/null').cli('locks')
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('IO_ERROR') })
  })

  it('is UNSUPPORTED where the backend cannot tell', async () => {
    const backend: Partial<Backend> = { close: async () => {} }
    await using store = new SandboxStore(backend as Backend)
    await expect(store.locks().next()).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(store.locks().next()).rejects.toBeInstanceOf(StateStoreError)
  })
})
