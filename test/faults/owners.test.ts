import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { expectWalk } from './sandbox.js'

// Processes own, hand over, change, reap, delete and make a few sandboxes, while one after another is killed and replaced.

const KILLS = Number(process.env.SANDBOX_STATE_OWNER_KILLS ?? 40)
const PROCESSES = KILLS > 100 ? 16 : 6
/** In ms. */
const EACH = 1_000

interface Report {
  readonly what: 'owned' | 'handed over' | 'reaped' | 'deleted' | 'violation'
  readonly about?: string
}

const [{ folder } = { folder: undefined }] = filesystems

describe.skipIf(process.platform !== 'linux')('owners that are killed', () => {
  test('are never two at once, nor reaped while they live, and all who died are reaped', {
    timeout: 60_000 + KILLS * EACH,
  }, async () => {
    const root = temporaryFolder(folder)
    const witnesses = temporaryFolder()
    const counts = { owned: 0, 'handed over': 0, reaped: 0, deleted: 0, violation: 0 }
    const violations: string[] = []
    const start = async (): Promise<ChildProcess> => {
      const program = startProgram('owner-load', [root, witnesses])
      await nextMessage(program)
      program.on('message', ({ what, about }: Report) => {
        counts[what]++
        if (what === 'violation') violations.push(about ?? '')
      })
      return program
    }
    const end = async (program: ChildProcess) => {
      const ended = once(program, 'exit')
      program.kill('SIGKILL')
      await ended
    }
    const running = await Promise.all(Array.from({ length: PROCESSES }, start))
    for (let kills = 0; kills < KILLS && violations.length === 0; kills++) {
      await sleep(Math.random() * 100)
      const [victim] = running.splice(Math.floor(Math.random() * running.length), 1)
      if (victim !== undefined) await end(victim)
      running.push(await start())
    }
    await Promise.all(running.map(end))
    console.log(`${KILLS} kills: ${JSON.stringify(counts)}`)
    expect(violations).toEqual([])
    for (const what of ['owned', 'handed over', 'reaped', 'deleted'] as const)
      expect(counts[what], what).toBeGreaterThan(0)
    const store = await openStore(root)
    onTestFinished(() => store.close())
    // Children that inherited a sandbox end soon.
    while ((await all(store.list({ owner: 'owned' }))).length > 0) await sleep(10)
    const orphans = await all(store.orphans())
    expect((await all(store.reap())).map(({ id }) => id)).toEqual(orphans.map(({ id }) => id))
    for (const { id } of orphans) expect(await store.read(id)).toMatchObject({ state: 'stopped' })
    expect(await all(store.orphans())).toEqual([])
    for (const { id } of await all(store.list())) expectWalk(root, id, id)
    await store.repair()
    expect(await all(store.check())).toEqual([])
  })
})
