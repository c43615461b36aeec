import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { settled } from '../support/wait.js'

// `close` waits for everything that was asked for before it.

const COUNT = 30

describe.each(filesystems)('close, on $name', ({ folder }) => {
  /** A store in which each of many sandboxes has a fault. */
  async function setUp() {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root, { durable: false })
    for (let i = 0; i < COUNT; i++) {
      await store.create(`s${i}`)
      writeFileSync(join(root, `s${i}`, '.state.json.tmp'), '')
    }
    return store
  }

  /** In which order a call, asked for first, and `close` end. */
  async function orderOfEnds(store: SandboxStore, call: (store: SandboxStore) => Promise<unknown>) {
    const ends: string[] = []
    const asked = call(store).then(
      result => void ends.push(`asked for: ${Array.isArray(result) ? result.length : result}`),
      (error: unknown) => void ends.push(String(error)),
    )
    const closed = store.close().then(async () => {
      // The order of two promises that settle at the same instant does not matter.
      for (let i = 0; i < 20; i++) await undefined
      ends.push('closed')
    })
    expect(await settled(Promise.all([asked, closed]))).not.toBe('pending')
    return ends
  }

  test.each([{}, { dryRun: true }])('waits for a repair with %j', async options => {
    const ends = await orderOfEnds(await setUp(), store => store.repair(options))
    expect(ends).toEqual([`asked for: ${COUNT}`, 'closed'])
  })

  test.each(['check', 'list'] as const)('waits for a loop over %s', async what => {
    const ends = await orderOfEnds(await setUp(), store => all<unknown>(store[what]()))
    expect(ends).toEqual([`asked for: ${COUNT}`, 'closed'])
  })

  test.each(['check', 'list', 'locks'] as const)(
    'in the body of a loop over %s does not wait for itself',
    async what => {
      const store = await setUp()
      let bodies = 0
      const loop = async () => {
        for await (const _ of store[what]()) {
          if (++bodies === 2) {
            await store.close()
            return 'left'
          }
        }
        return 'ended'
      }
      expect(await settled(loop())).toBe(what === 'locks' ? 'ended' : 'left')
    },
  )
})
