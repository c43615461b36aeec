import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type FindingCode, openStore, type SandboxStore, type StoredSandbox } from 'sandbox-state'
import { all } from '../support/all.js'
import type { Acknowledged } from './acknowledged.js'
import { cgroupPathOf } from './programs/payload.mjs'

/** What a check may find after a power cut. */
const ALLOWED: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'LEFTOVER',
  'DEAD_LOCK',
  'UNFINISHED_CREATE',
  'DAMAGED_HISTORY',
])
const NAMES: ReadonlySet<string> = new Set(['state.json', 'lock', 'owner', 'history.jsonl'])

/** With how many sandboxes the work goes on after a cut: first with those that were just being changed. */
const GO_ON = 4

/** What is wrong with a root after a power cut. Looks at each sandbox, then works with some. */
export async function inspect(root: string, acknowledged: Acknowledged): Promise<string[]> {
  const store = await openStore(root, { lockTimeout: 5_000 })
  try {
    const faults: string[] = []
    for (const { code, message } of await all(store.check())) {
      if (!ALLOWED.has(code)) faults.push(`check: ${code} ${message}`)
    }
    const found = new Map<string, StoredSandbox>()
    for (const entry of await all(store.list())) {
      if ('error' in entry) faults.push(`list: ${entry.error.message}`)
      else found.set(entry.id, entry)
    }
    const ids = new Set([...acknowledged.ids, ...found.keys()])
    for (const id of ids) faults.push(...acknowledged.faults(id, found.get(id)))
    if (faults.length > 0) return faults
    faults.push(...(await reapAll(store, found)))
    // One at a time: many at once would cost a thread each time.
    for (const id of acknowledged.lastChanged(GO_ON))
      faults.push(...(await goOn(store, root, id, found.has(id))))
    return faults
  } finally {
    await store.close()
  }
}

/** Everything that was owned is orphaned, and what runs without its owner is stopped. */
async function reapAll(store: SandboxStore, found: ReadonlyMap<string, StoredSandbox>): Promise<string[]> {
  const orphans = [...found.values()]
    .filter(({ owner, state }) => owner?.state === 'orphaned' && /running|paused/.test(state.state))
    .map(({ id }) => id)
  const reaped = (await all(store.reap())).map(({ id }) => id)
  const faults = reaped.join() === orphans.join() ? [] : [`orphans are ${orphans}, reaped were ${reaped}`]
  for (const id of reaped) {
    const { state } = await store.read(id)
    if (state !== 'stopped') faults.push(`${id} was reaped and is ${state}`)
  }
  return faults
}

/** The store works on at once, over locks and temporary files that the cut left, and sweeps them. */
async function goOn(store: SandboxStore, root: string, id: string, isThere: boolean): Promise<string[]> {
  const fields = { blockIndex: 1_000_000, cgroupPath: cgroupPathOf(id, 1_000_000) }
  try {
    if (isThere) await store.update(id, state => ({ ...state, ...fields }))
    else await store.create(id, fields)
    const stray = readdirSync(join(root, id)).filter(name => !NAMES.has(name))
    const faults = stray.map(name => `${id}/${name} was not swept`)
    if (isThere) return faults
    await store.delete(id)
    return existsSync(join(root, id)) ? [...faults, `${id} was deleted, its folder is there`] : faults
  } catch (error) {
    return [`${id}: ${error}`]
  }
}
