import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Repair } from 'sandbox-state'
import { expect, test } from 'vitest'
import { beforeEachCall } from '../attack/before-call.js'
import { BIN } from '../cli/support.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { namesIn, stateOf } from './sandbox.js'

// A create takes over what a killed one left, while a repair removes it: it comes right after each call of the repair that
// removes something.

const REMOVALS: ReadonlySet<string> = new Set(['unlinkat', 'unlinkSync', 'rmdirSync'])

/** Another process creates a sandbox. @returns `created`, or the code of the error */
function createElsewhere(root: string, id: string): string {
  const argv = [BIN, '--root', root, '--lock-timeout', '0', 'create', id]
  const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  return status === 0 ? 'created' : stderr.replace(/^sandbox-state: (\w+):.*\n$/s, '$1')
}

/** @returns what became of the create; undefined when there was no such removal */
async function createAfter(nth: number): Promise<string | undefined> {
  const root = temporaryFolder(filesystems[0]?.folder)
  const store = await openTestStore(root)
  mkdirSync(join(root, 'a'), 0o700)
  for (const file of ['lock', '.state.json.tmp']) writeFileSync(join(root, 'a', file), '', { mode: 0o600 })
  let removals = 0
  let previous = ''
  let created: string | undefined
  let repairs: readonly Repair[] = []
  await beforeEachCall(
    (_, name) => {
      if (REMOVALS.has(previous) && ++removals === nth) created = createElsewhere(root, 'a')
      previous = name
    },
    async () => {
      repairs = await store.repair()
    },
  )
  if (created === undefined) return undefined
  const where = `after removal ${nth}: ${created}, ${JSON.stringify(repairs)}, ${namesIn(root, 'a')}`
  expect.soft(created, where).toMatch(/^(created|LOCK_TIMEOUT)$/)
  expect.soft(repairs, where).not.toContainEqual(expect.objectContaining({ action: 'failed' }))
  expect.soft((await stateOf(store, 'a'))?.state, where).toBe(created === 'created' ? 'ready' : undefined)
  return created
}

test('a leftover that a create takes over while it is removed is not a failed repair', async () => {
  const outcomes: string[] = []
  for (let nth = 1; ; nth++) {
    const outcome = await createAfter(nth)
    if (outcome === undefined) break
    outcomes.push(outcome)
  }
  expect(new Set(outcomes)).toEqual(new Set(['LOCK_TIMEOUT', 'created']))
})
