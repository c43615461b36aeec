import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { tellsOpenFiles, untilOpen } from './open-files.js'
import { Root, startCli } from './support.js'

/** A `wait` in a process of its own, which has begun to watch. */
async function startWait(root: Root, ...argv: readonly string[]) {
  const child = startCli(['--root', root.path, 'wait', ...argv])
  const ended = once(child, 'close')
  const stderr = text(child.stderr)
  const stdout = text(child.stdout)
  await untilOpen(child.pid, 'anon_inode:inotify')
  return async () => ({ status: (await ended)[0], stdout: await stdout, stderr: await stderr })
}

describe('wait', () => {
  it.runIf(tellsOpenFiles)('ends when another process has made the change', async () => {
    const root = new Root()
    await root.done('create a')
    const stops = await startWait(root, 'a', 'stopped', '--timeout', '600', '--format', 'json')
    const goes = await startWait(root, 'a', 'deleted', '--format', 'json')
    await root.done('transition a running')
    await root.done('transition a stopped')
    const { status, stdout, stderr } = await stops()
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual(root.file('a'))
    await root.done('delete a')
    expect(await goes()).toEqual({ status: 0, stdout: 'null\n', stderr: '' })
  })

  it('ends at once when it is so already, also without any time', async () => {
    const root = new Root()
    await root.done('create a')
    const fraction = 'wait a ready --timeout 64.1' // Is not quite 64,100 ms in floating point.
    for (const line of ['wait a ready', fraction, 'wait a ready --timeout 0', 'wait b deleted --timeout 0']) {
      expect(await root.cli(line)).toEqual({ status: 0, stdout: '', stderr: '' })
    }
    expect(await root.done('wait a ready', { terminal: true })).toBe('a: ready\n')
    expect(await root.done('wait b deleted', { terminal: true })).toBe('b: deleted\n')
  })

  it('ends with 124 when the time is up', async () => {
    const root = new Root()
    await root.done('create a')
    const message = 'sandbox a is not running after 0.2 s, but ready'
    expect(await root.cli('wait a running --timeout 0.2')).toEqual({
      status: 124,
      stdout: '',
      stderr: `sandbox-state: TIMEOUT: ${message}\n`,
    })
    const { status, stderr } = await root.cli('wait a running --timeout 0.2 --format json')
    expect(status).toBe(124)
    expect(JSON.parse(stderr)).toEqual({ code: 'TIMEOUT', message, id: 'a' })
    expect(await root.cli('wait a deleted --timeout 0')).toMatchObject({ status: 124 })
  })

  it('fails when there is no such sandbox, and when it cannot be read', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.cli('wait b running')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('NOT_FOUND'),
    })
    expect(await root.cli('wait .. running')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('INVALID_ID'),
    })
    root.put('c', 'nonsense')
    expect(await root.cli('wait c running --timeout 5')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('CORRUPT_STATE'),
    })
  })

  it.runIf(tellsOpenFiles)('fails when the sandbox is deleted meanwhile', async () => {
    const root = new Root()
    await root.done('create a')
    const left = await startWait(root, 'a', 'running')
    await root.done('delete a')
    expect(await left()).toMatchObject({ status: 1, stderr: expect.stringContaining('NOT_FOUND') })
  })

  it.each([
    ['wait a asleep'],
    ['wait a'],
    ['wait a ready --timeout 1e3'],
    ['wait a ready --timeout 2147484'],
  ])('%s: a wrong command line', async line => {
    expect(await new Root().cli(line)).toMatchObject({ status: 2, stdout: '' })
  })
})
