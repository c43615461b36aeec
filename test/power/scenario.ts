import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStore, type SandboxState, type SandboxStore, StateStoreError } from 'sandbox-state'
import { onTestFinished } from 'vitest'
import { Acknowledged } from './acknowledged.js'
import type { Image } from './image.js'
import { cgroupPathOf } from './programs/payload.mjs'
import { stopFilesystem } from './programs/stop-filesystem.mjs'

/** How the power is cut: the filesystem is stopped while the workers work, or they are killed and the image is copied. */
export type Cut = 'shutdown' | 'copy'

export interface Scenario {
  readonly cut: Cut
  readonly workers: number
  /** The flushes that are taken away from the workers: `file`, `folder`, `root`. */
  readonly without?: readonly string[]
  /** How many changes a worker makes at once. */
  readonly atOnce?: number
  /** The store's option. */
  readonly durable?: boolean
  /** How long a worker rests after each change, in ms, so that the cut mostly follows an acknowledgement. */
  readonly rest?: number
}

export interface Result {
  readonly acknowledged: number
  /** What was promised and is not there, and what else is wrong. */
  readonly faults: readonly string[]
}

/** A log of some twenty changes, one after the other, in bytes. */
const ENOUGH = 2_000

/**
 * Workers change sandboxes below a new root, the power is cut at a random moment, the filesystem is mounted again,
 * and all that the store promised is looked for. It stays mounted.
 * @param round names the root: one image serves several rounds
 */
export async function cutPower(image: Image, round: number, scenario: Scenario): Promise<Result> {
  const root = join(image.mountPoint, `round-${round}`, 'sandboxes')
  const log = join(image.folder, `round-${round}.log`)
  const workers = Array.from({ length: scenario.workers }, (_, n) =>
    startWorker(root, log, `w${n}`, scenario),
  )
  await growsBeyond(log, ENOUGH * (scenario.atOnce ?? 1))
  if (round % 2 === 1) image.flush()
  await sleep(Math.random() * 250)
  if (scenario.cut === 'shutdown') {
    stopFilesystem(image.mountPoint)
    await endOf(workers)
    await image.unmount()
  } else {
    await endOf(workers, 'SIGKILL')
    const putBack = await image.snapshot()
    await image.unmount()
    putBack()
  }
  image.mount()
  const acknowledged = new Acknowledged(log)
  const faults = await inspect(root, acknowledged)
  return { acknowledged: acknowledged.count, faults: [...unexpected(acknowledged), ...faults] }
}

/** Makes one change, and stops the filesystem right before the flush of the sandbox's folder. */
export async function changeAndStop(image: Image, change: 'delete' | 'transition'): Promise<string> {
  const stop = join(image.folder, 'stop')
  const NODE_OPTIONS = `--import=${program('stop-at-flush')}`
  const env = { ...process.env, NODE_OPTIONS, STOP: stop, MOUNT_POINT: image.mountPoint }
  const args = [program('last-change'), join(image.mountPoint, 'sandboxes'), change]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
  onTestFinished(() => void (isRunning(child) && child.kill('SIGKILL')))
  return (await text(child.stdout)).trim()
}

function startWorker(root: string, log: string, name: string, scenario: Scenario): ChildProcess {
  const { without = [], durable = true, rest = 0, atOnce = 1 } = scenario
  const preloads = ['earlier-boot', ...(without.length === 0 ? [] : ['without-fsync'])].map(program)
  const env = {
    ...process.env,
    NODE_OPTIONS: preloads.map(path => `--import=${path}`).join(' '),
    WITHOUT_FSYNC: without.join(','),
    STORE_ROOT: root,
  }
  const args = [program('worker'), root, log, name, String(durable), String(rest), String(atOnce)]
  const worker = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'], env })
  onTestFinished(() => void (isRunning(worker) && worker.kill('SIGKILL')))
  return worker
}

function program(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url))
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function growsBeyond(file: string, size: number): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!existsSync(file) || statSync(file).size < size) {
    if (Date.now() > deadline) throw new Error('the workers do not get to work')
    await sleep(5)
  }
}

/** Once their filesystem fails they end by themselves; one that does not is a fault, and is killed. */
async function endOf(workers: readonly ChildProcess[], signal?: NodeJS.Signals): Promise<void> {
  const ends = workers.map(async worker => {
    if (!isRunning(worker)) return
    const timeout = setTimeout(() => worker.kill('SIGKILL'), 10_000)
    if (signal !== undefined) worker.kill(signal)
    await once(worker, 'exit')
    clearTimeout(timeout)
  })
  await Promise.all(ends)
}

/** A worker may fail because its filesystem is gone, and in no other way. */
function unexpected({ failures }: Acknowledged): string[] {
  return failures
    .filter(({ code, message }) => code !== 'OUTCOME_UNKNOWN' && !/EIO|EROFS/.test(message))
    .map(({ code, message }) => `a worker failed with ${code}: ${message}`)
}

/** Looks at each sandbox, then works with it. */
async function inspect(root: string, acknowledged: Acknowledged): Promise<string[]> {
  const faults: string[] = []
  const store = await openStore(root, { lockTimeout: 2_000 })
  try {
    for await (const entry of store.list()) if ('error' in entry) faults.push(`list: ${entry.error.message}`)
    for (const id of acknowledged.ids) {
      try {
        const found = await readIfThere(store, id)
        const fault = acknowledged.fault(id, found)
        if (fault !== undefined) faults.push(fault)
        else faults.push(...(await goOn(store, root, id, found)))
      } catch (error) {
        faults.push(`${id}: ${error}`)
      }
    }
  } finally {
    await store.close()
  }
  return faults
}

async function readIfThere(store: SandboxStore, id: string): Promise<SandboxState | undefined> {
  try {
    return await store.read(id)
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

/** The store works on at once, over locks and temporary files that the cut left, and sweeps them. */
async function goOn(
  store: SandboxStore,
  root: string,
  id: string,
  found: SandboxState | undefined,
): Promise<string[]> {
  const fields = { blockIndex: 1_000_000, cgroupPath: cgroupPathOf(id, 1_000_000) }
  if (found === undefined) await store.create(id, fields)
  else await store.update(id, state => ({ ...state, ...fields }))
  const stray = readdirSync(join(root, id)).filter(name => !NAMES.has(name))
  const faults = stray.map(name => `${id}/${name} was not swept`)
  if (found !== undefined) return faults
  await store.delete(id)
  return existsSync(join(root, id)) ? [...faults, `${id} was deleted, its folder is there`] : faults
}

const NAMES: ReadonlySet<string> = new Set(['state.json', 'lock', 'history.jsonl'])
