import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { attach, detach, noStrace } from '../support/strace.js'
import { until } from '../support/wait.js'
import { namesIn, stateOf } from './sandbox.js'

// A create takes over what a killed one left, while a repair removes it; the repair is stopped after each call by which
// it removes something, so that the create comes in between.

const [{ folder } = { folder: tmpdir() }] = filesystems

if (noStrace !== undefined) console.warn(`no repair is stopped at a call: ${noStrace}`)

describe.skipIf(noStrace !== undefined)('a leftover', () => {
  /** @returns whether there was such a call */
  async function createAfter(name: string, nth: number): Promise<boolean> {
    const root = temporaryFolder(folder)
    const store = await openStore(root, { lockTimeout: 0 })
    onTestFinished(() => store.close())
    mkdirSync(join(root, 'a'), 0o700)
    for (const file of ['lock', '.state.json.tmp']) writeFileSync(join(root, 'a', file), '', { mode: 0o600 })
    const child = startProgram('repair-once', [root])
    await nextMessage(child)
    const inject = ['-e', `trace=${name}`, '-e', `inject=${name}:signal=SIGSTOP:when=${nth}`]
    const log = join(temporaryFolder(), 'trace')
    const strace = await attach(['-f', '-o', log, ...inject, '-p', String(child.pid)])
    let repairs: unknown
    const reported = nextMessage(child).then(rows => {
      repairs = rows
    })
    child.send('go')
    reported.catch(() => {})
    const isStopped = () => readFileSync(log, 'latin1').includes('--- stopped by SIGSTOP ---')
    await until('the repair is stopped or over', () => repairs !== undefined || isStopped())
    const wasStopped = repairs === undefined
    const created = await store.create('a').then(
      () => 'created',
      error => error.code,
    )
    if (wasStopped) child.kill('SIGCONT')
    await reported
    await detach(strace)
    const where = `after ${name} ${nth}: ${created}, ${JSON.stringify(repairs)}, ${namesIn(root, 'a')}`
    expect.soft(created, where).toMatch(/^(created|LOCK_TIMEOUT)$/)
    expect.soft(repairs, where).not.toContainEqual(expect.objectContaining({ action: 'failed' }))
    expect.soft((await stateOf(store, 'a'))?.state, where).toBe(created === 'created' ? 'ready' : undefined)
    return wasStopped
  }

  test('that a create takes over while it is removed is not a failed repair', async () => {
    let stops = 0
    for (const name of ['unlink', 'unlinkat', 'rmdir']) {
      for (let nth = 1; await createAfter(name, nth); nth++) stops++
    }
    expect(stops).toBeGreaterThan(1)
  })
})
