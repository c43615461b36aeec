import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { settled } from '../support/wait.js'

// `close` waits for everything that was asked for before it.

const COUNT = 30

describe.each(filesystems)('close, on $name', ({ folder }) => {
  /** A store in which each of many sandboxes has a fault. */
  async function setUp() {
    const root = temporaryFolder(folder)
    const maker = await openStore(root, { durable: false })
    for (let i = 0; i < COUNT; i++) {
      await maker.create(`s${i}`)
      writeFileSync(join(root, `s${i}`, '.state.json.tmp'), '')
    }
    await maker.close()
    return openStore(root)
  }

  /** In which order a call, asked for first, and `close` end. */
  async function orderOfEnds(store: SandboxStore, call: (store: SandboxStore) => Promise<unknown>) {
    const ends: string[] = []
    const asked = call(store).then(
      result => void ends.push(`asked for: ${Array.isArray(result) ? result.length : result}`),
      (error: unknown) => void ends.push(String(error)),
    )
    const closed = store.close().then(async () => {
      // Which of two promises of the same instant is heard of first is nobody's concern.
      for (let i = 0; i < 20; i++) await undefined
      ends.push('closed')
    })
    expect(await settled(Promise.all([asked, closed]))).not.toBe('pending')
    return ends
  }

  test('waits for a repair that was asked for before', async () => {
    expect(await orderOfEnds(await setUp(), store => store.repair())).toEqual([
      `asked for: ${COUNT}`,
      'closed',
    ])
  })

  test('waits for a repair that would only be made', async () => {
    const planned = await orderOfEnds(await setUp(), store => store.repair({ dryRun: true }))
    expect(planned).toEqual([`asked for: ${COUNT}`, 'closed'])
  })

  test.each(['check', 'list'] as const)('waits for a loop over %s that runs', async what => {
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
