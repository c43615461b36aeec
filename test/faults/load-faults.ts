import { openStore, type SandboxStore } from 'sandbox-state'
import { all } from '../support/all.js'
import { until } from '../support/wait.js'
import { findViolation } from './linearizability.js'
import { type Load, PERMANENT } from './load.js'
import { namesIn, TIDY, walkFaults } from './sandbox.js'
import { sandboxModel } from './sandbox-model.js'

/** Errors that say how a sandbox was, not that something went wrong. */
const ALLOWED: Record<string, readonly string[]> = {
  count: [],
  walk: ['STATE_MISMATCH'],
  phoenix: ['STATE_MISMATCH', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_TRANSITION'],
}

/** The sandbox that the stranger increments, too, whose calls are not recorded. */
const SHARED = 'count-0'

/** What is wrong after a load, in words; empty when every promise was kept. Reaps the orphans. */
export async function faultsAfter(root: string, load: Load): Promise<string[]> {
  const store = await openStore(root)
  try {
    return [
      ...load.violations,
      ...callFaults(load),
      ...(await countFaults(store, load)),
      ...(await orphanFaults(store)),
      ...(await restFaults(root, store)),
    ]
  } finally {
    await store.close()
  }
}

/** All calls, with their starts, ends and results, fit into one order. */
function callFaults({ operations }: Load): string[] {
  return Array.from(operations, ([id, calls]) => {
    const codes = ALLOWED[id.replace(/-\d+$/, '')] ?? []
    const failed = calls.filter(({ output }) => output?.code !== undefined && !codes.includes(output.code))
    const faults = failed.map(({ output }) => `${id}: ${output?.code} ${output?.message}`)
    if (id === SHARED) return faults
    const initial = PERMANENT.test(id) ? ({ state: 'ready', blockIndex: 0 } as const) : null
    const stuck = findViolation(sandboxModel(initial), calls)
    return stuck === undefined ? faults : [...faults, `${id} is not linearizable: ${JSON.stringify(stuck)}`]
  }).flat()
}

/** A counter has at least what was acknowledged, and at most also the increments in flight at a kill. */
async function countFaults(store: SandboxStore, { operations, byStranger }: Load): Promise<string[]> {
  const faults: string[] = []
  for (const [id, calls] of operations) {
    if (!id.startsWith('count')) continue
    const increments = calls.filter(({ input }) => input.kind === 'increment')
    const inFlight = increments.filter(({ output }) => output === undefined).length
    const acknowledged = increments.length - inFlight + (id === SHARED ? byStranger : 0)
    const { blockIndex } = await store.read(id)
    if (blockIndex < acknowledged || blockIndex > acknowledged + inFlight) {
      faults.push(`${id} is ${blockIndex}, with ${acknowledged} acknowledged and ${inFlight} in flight`)
    }
  }
  return faults
}

/** All owners are dead, or children that end soon; one reap stops all the orphans. */
async function orphanFaults(store: SandboxStore): Promise<string[]> {
  const isOver = async () => (await all(store.list({ owner: 'owned' }))).length === 0
  await until('no sandbox is owned any more, as all owners are dead', isOver)
  const orphans = await all(store.orphans())
  const reaped = new Set((await all(store.reap())).map(({ id }) => id))
  const faults = orphans.filter(({ id }) => !reaped.has(id)).map(({ id }) => `${id} was not reaped`)
  for (const { id } of orphans) {
    const { state } = await store.read(id)
    if (state !== 'stopped') faults.push(`${id} was reaped and is ${state}`)
  }
  return [...faults, ...(await all(store.orphans())).map(({ id }) => `${id} is still an orphan`)]
}

/** Histories are walks of the state machine; a change and a repair sweep all that killed processes left. */
async function restFaults(root: string, store: SandboxStore): Promise<string[]> {
  const faults: string[] = []
  const entries = await all(store.list())
  for (const { id } of entries) {
    await store.update(id, state => state)
    faults.push(...walkFaults(root, id))
    const others = (namesIn(root, id) ?? []).filter(name => !KNOWN.has(name))
    faults.push(...others.map(name => `${id}/${name} was left`))
  }
  for (const { action, path } of await store.repair()) {
    if (action !== 'removed') faults.push(`the repair ${action} ${path}`)
  }
  faults.push(...(await all(store.check())).map(({ code, path }) => `the check found ${code} at ${path}`))
  return faults
}

const KNOWN: ReadonlySet<string> = new Set([...TIDY, 'history.jsonl.1', 'owner'])
