import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ListEntry } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { StateString } from '../../state/machine.js'
import { visible } from '../../state/show.js'
import { openStore, type SandboxStore } from '../../store.js'
import { listingLines } from '../listing.js'
import { type Row, tableLines } from '../table.js'
import type { Narrator } from './narrator.js'
import type { Report } from './protocol.js'
import type { WorkerProcess } from './worker-process.js'

/** What the demo is played with. */
export interface Stage {
  readonly root: string
  readonly narrator: Narrator
  /** The one that is killed. */
  readonly victim: WorkerProcess
  readonly others: readonly WorkerProcess[]
  readonly colors: boolean
  /** The play then ends at its next wait. */
  readonly interrupted: AbortSignal
}

/** How long the demo itself waits for a sandbox that is locked, in ms. */
const PATIENCE = 300
/** The others must be back at work so soon after a kill, in ms; some 10 are usual. */
const AT_ONCE = 1000

/** The demo, from its first line to its verdict. */
export async function play(stage: Stage): Promise<void> {
  const { root, narrator } = stage
  await narrator.print(`A store on a temporary root: ${visible(root)}`)
  const store = await openStore(root, { lockTimeout: PATIENCE })
  try {
    await createSandboxes(stage, store)
    const blockIndex = await addTogether(stage, store)
    await raceForTransition(stage)
    await refuseTransition(stage, store)
    await Promise.all(stage.others.map(worker => worker.dismiss()))
    await store.close()
    await openAgain(stage, ['cache ready 0', 'db running 0', `web ready ${blockIndex}`])
    await showFiles(stage)
  } finally {
    await store.close()
  }
}

async function createSandboxes({ narrator }: Stage, store: SandboxStore): Promise<void> {
  await narrator.chapter('1. A new sandbox is ready')
  for (const id of ['cache', 'db', 'web']) {
    const { state } = await store.create(id, { cgroupPath: `/demo/${id}` })
    await narrator.say(`${id}: ${state}`)
  }
}

/** @returns the count at the end */
async function addTogether(stage: Stage, store: SandboxStore): Promise<number> {
  const { narrator, victim, others } = stage
  const workers = [victim, ...others]
  await narrator.chapter(
    `2. ${workers.length} processes add 1 to the blockIndex of web, each again and again`,
  )
  for (const worker of workers) worker.tell({ do: 'add', id: 'web' })
  await until(stage, '5 additions of each process', () => workers.every(({ added }) => added >= 5))
  await killInMidChange(stage, store)
  await until(stage, '150 additions', () => total(workers) >= 150)
  await Promise.all(others.map(worker => worker.ask({ do: 'rest' })))

  const { blockIndex } = await store.read('web')
  const acknowledged = total(workers)
  await narrator.say(
    `acknowledged: ${workers.map(({ added }) => added).join(' + ')}, in flight at the kill: 1`,
  )
  await narrator.check(
    `acknowledged <= blockIndex <= acknowledged + in flight: ${acknowledged} <= ${blockIndex} <= ${acknowledged + 1}`,
    acknowledged <= blockIndex && blockIndex <= acknowledged + 1,
  )
  return blockIndex
}

async function killInMidChange(stage: Stage, store: SandboxStore): Promise<void> {
  const { narrator, victim, others } = stage
  const { pid } = victim
  await victim.ask({ do: 'hang' })
  await narrator.say(`pid ${pid} stands still in the middle of a change, and holds the lock of web`)
  await sleep(50) // Then all that the others did before has been reported.
  const before = total(others)

  const refused = await refusal(store.update('web', state => ({ ...state, blockIndex: 0 })))
  await narrator.say('another change waits, and is told:', `  ${told(refused)}`)
  await narrator.check(`it gave up in time, and knows the holder, pid ${pid}`, names(refused, pid))
  await narrator.check('nobody else got in', total(others) === before)

  const start = performance.now()
  const dead = victim.kill()
  await until(stage, 'an addition after the kill', () => total(others) > before)
  const elapsed = performance.now() - start
  await dead
  await narrator.say(`kill -9 ${pid}`)
  await narrator.check(`the next change got in ${elapsed.toFixed(0)} ms later`, elapsed < AT_ONCE)
}

async function raceForTransition({ narrator, others }: Stage): Promise<void> {
  await narrator.chapter(
    `3. The ${others.length} that are left all move db from ready to running, at the same time`,
  )
  const reports = await Promise.all(
    others.map(worker => worker.ask({ do: 'move', id: 'db', from: 'ready', to: 'running' })),
  )
  for (const [index, report] of reports.entries()) {
    await narrator.say(`pid ${others[index]?.pid}: ${outcome(report)}`)
  }
  const lost = reports.filter(report => report.kind === 'refused' && report.code === 'STATE_MISMATCH')
  const won = reports.filter(report => report.kind === 'moved')
  await narrator.check(
    'one has won, and each of the others knows that it has not',
    won.length === 1 && lost.length === others.length - 1,
  )
}

function outcome(report: Report): string {
  return report.kind === 'refused' ? `${report.code}: ${report.message}` : report.kind
}

async function refuseTransition({ narrator }: Stage, store: SandboxStore): Promise<void> {
  await narrator.chapter('4. A move that the state machine does not have: cache from ready to paused')
  // Of a literal 'ready' the compiler itself would know that it cannot become 'paused'.
  const refused = await refusal(store.transition<StateString>('cache', 'ready', 'paused'))
  await narrator.say(told(refused))
  const { state } = await store.read('cache')
  await narrator.check(
    `refused, and cache is still ${state}`,
    refused?.code === 'INVALID_TRANSITION' && state === 'ready',
  )
}

/** @param expected each sandbox in words */
async function openAgain({ root, narrator, colors }: Stage, expected: readonly string[]): Promise<void> {
  await narrator.chapter('5. All processes have ended, the store is closed; opened again, it holds')
  const store = await openStore(root)
  try {
    const entries: ListEntry[] = []
    for await (const entry of store.list()) entries.push(entry)
    await narrator.say(...listingLines(entries, colors))
    const found = entries.map(entry =>
      'error' in entry ? told(entry.error) : `${entry.id} ${entry.state.state} ${entry.state.blockIndex}`,
    )
    await narrator.check('what was acknowledged is there', found.join() === expected.join())
  } finally {
    await store.close()
  }
}

async function showFiles({ root, narrator }: Stage): Promise<void> {
  const folder = join(root, 'web')
  await narrator.chapter(`6. The files of web, in ${visible(folder)}`)
  const names = await readdir(folder)
  await narrator.say(...tableLines(await Promise.all(names.sort().map(name => fileRow(folder, name)))))
  await narrator.say('web/state.json:', ...(await fileLines(folder, 'state.json')))
  const history = await fileLines(folder, 'history.jsonl')
  await narrator.say(`web/history.jsonl, the last 2 of ${history.length} lines:`, ...history.slice(-2))
  await narrator.say('db/history.jsonl:', ...(await fileLines(join(root, 'db'), 'history.jsonl')))
}

async function fileRow(folder: string, name: string): Promise<Row> {
  const { mode, size } = await lstat(join(folder, name))
  return [{ text: `0${(mode & 0o777).toString(8)}` }, { text: String(size), align: 'right' }, { text: name }]
}

async function fileLines(folder: string, name: string): Promise<string[]> {
  const text = await readFile(join(folder, name), 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map(line => `  ${visible(line)}`)
}

function total(workers: readonly WorkerProcess[]): number {
  return workers.reduce((sum, { added }) => sum + added, 0)
}

/** Waits until something is so, for 20 s at most. */
async function until({ interrupted }: Stage, what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`the demo waited in vain for ${what}`)
    await sleep(1, undefined, { signal: interrupted })
  }
}

/** The error that a change was refused with; undefined when it was made. */
async function refusal(change: Promise<unknown>): Promise<StateStoreError | undefined> {
  try {
    await change
    return undefined
  } catch (error) {
    if (error instanceof StateStoreError) return error
    throw error
  }
}

function told(refused: StateStoreError | undefined): string {
  return refused === undefined ? 'no error' : `${refused.code}: ${visible(refused.message)}`
}

function names(refused: StateStoreError | undefined, pid: number): boolean {
  return refused?.code === 'LOCK_TIMEOUT' && refused.message.includes(`pid ${pid} `)
}
