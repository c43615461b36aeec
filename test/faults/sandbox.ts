import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type SandboxState, type SandboxStore, type StateString, TRANSITIONS } from 'sandbox-state'
import { expect } from 'vitest'
import type { Asked } from '../support/strace.js'

/** The changes that the tests of this folder disturb, with what a sandbox is before and after each. */
export const CHANGES: readonly {
  readonly what: Asked['what']
  readonly before: Partial<SandboxState> | undefined
  readonly after: Partial<SandboxState> | undefined
}[] = [
  { what: 'create', before: undefined, after: { state: 'ready', cgroupPath: '/kata/new' } },
  { what: 'transition', before: { state: 'ready' }, after: { state: 'running' } },
  {
    what: 'update',
    before: { state: 'ready', blockIndex: 0 },
    after: { state: 'ready', blockIndex: 1 },
  },
  { what: 'delete', before: { state: 'ready' }, after: undefined },
]

/** A sandbox's state as anyone may read it; undefined when there is none. Anything but a whole state throws. */
export async function stateOf(store: SandboxStore, id: string): Promise<SandboxState | undefined> {
  try {
    return await store.read(id)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

/** Whether a state has these fields; undefined is no sandbox. */
export function isState(state: SandboxState | undefined, fields: Partial<SandboxState> | undefined): boolean {
  if (state === undefined || fields === undefined) return state === fields
  return Object.entries(fields).every(([name, value]) => state[name as keyof SandboxState] === value)
}

/** What a sandbox's folder holds; undefined when there is none. */
export function namesIn(root: string, id: string): string[] | undefined {
  try {
    return readdirSync(join(root, id)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** What is in a sandbox's folder while nobody changes it. */
export const TIDY: readonly string[] = ['history.jsonl', 'lock', 'state.json']

/** What a change may leave, and what `check` calls it. */
const LEFTOVERS: Readonly<Record<string, string>> = {
  '.state.json.tmp': 'LEFTOVER',
  'state.json.lock': 'DEAD_LOCK',
}

/** What `check` must say of a folder in which there are these names. */
export function faultsOf(names: readonly string[] | undefined): string[] {
  if (names?.includes('state.json') === false) return ['UNFINISHED_CREATE']
  const others = names?.filter(name => !TIDY.includes(name) && name !== 'owner') ?? []
  return others.map(name => LEFTOVERS[name] ?? `nobody names ${name}`)
}

/** One line of a history file, as far as the tests of this folder care. */
interface HistoryLine {
  readonly seq: number
  readonly from: string | null
  readonly to: string
  readonly gap?: true
}

/** The recorded changes of a sandbox, the rotated ones first, without lines that were torn: see docs/format.md. */
function historyOf(root: string, id: string): HistoryLine[] {
  return ['history.jsonl.1', 'history.jsonl'].flatMap(name => {
    if (namesIn(root, id)?.includes(name) !== true) return []
    const lines = readFileSync(join(root, id, name), 'utf8').split('\n')
    return lines.flatMap(line => {
      try {
        return [JSON.parse(line) as HistoryLine]
      } catch {
        return []
      }
    })
  })
}

/** A recorded history holds together: each change begins where the one before ended, and is one of the state machine's. */
export function expectWalk(root: string, id: string, where: string): void {
  expect.soft(walkFaults(root, id), where).toEqual([])
}

/**
 * The next change comes through and leaves the folder in order. With a `lockTimeout` of 0 it proves that nothing keeps
 * anybody out: neither a lock nor a file of the process before.
 */
export async function expectUsable(
  store: SandboxStore,
  root: string,
  id: string,
  where: string,
): Promise<void> {
  const state = (await stateOf(store, id)) ?? (await store.create(id))
  await store.update(id, current => ({ ...current, guestMemoryBlockSize: 7 }))
  expect.soft(await store.read(id), where).toMatchObject({ ...state, guestMemoryBlockSize: 7 })
  expect.soft(namesIn(root, id), where).toEqual(TIDY)
  expect.soft(readFileSync(join(root, id, 'lock'), 'latin1'), where).toMatch(/^\{"held":false,/)
  expectWalk(root, id, where)
}

/** What keeps a recorded history from holding together. */
export function walkFaults(root: string, id: string): string[] {
  const lines = historyOf(root, id)
  if (lines.length === 0) return [`${id} has no history`]
  return lines.flatMap(({ seq, from, to, gap }, i) => {
    const previous = lines[i - 1]
    const goesOn = gap === true || previous === undefined || from === previous.to
    const allowed: readonly string[] = TRANSITIONS[from as StateString] ?? []
    const isStep = from === null || from === to || allowed.includes(to)
    return goesOn && isStep ? [] : [`change ${seq} of ${id} goes from ${from} to ${to}`]
  })
}
