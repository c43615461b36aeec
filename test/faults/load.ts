import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, type StateString } from 'sandbox-state'
import { isAlive, nextMessage, startProgram } from '../support/program.js'
import type { Operation } from './linearizability.js'
import { startOtherHost } from './other-host.js'

/** What a contender asked of the store. */
export type Input =
  | { readonly kind: 'create' | 'delete' | 'increment' | 'read' }
  | { readonly kind: 'transition'; readonly from: StateString; readonly to: StateString }

/** What came of it: the sandbox's state, nothing of a deletion, or an error. */
export interface Output {
  readonly state?: StateString
  readonly blockIndex?: number
  readonly code?: string
  readonly message?: string
}

export interface LoadOptions {
  /** How many processes work at once. */
  readonly contenders: number
  /** The sandboxes; test/programs/contender.mjs says what is done with which. */
  readonly ids: readonly string[]
  /** On how many of them each process works; by default on all. */
  readonly idsEach?: number
  /** How long a process rests between two calls at most, in ms. */
  readonly rest?: number
  /** The load ends after this many kills, or this many ms after all processes have begun. */
  readonly kills: number
  readonly lasts?: number
  /** How long to wait before each kill at most, in ms. */
  readonly pause: number
  /** How many processes are stopped (SIGSTOP) at once, and for how many ms each. */
  readonly stopped?: { readonly atOnce: number; readonly ms: number }
  /** Whether every second process is in a pid namespace and on a host of another name. */
  readonly otherHost?: boolean
  /** Whether a program that knows only proper-lockfile counts up `count-0`, too. */
  readonly stranger?: boolean
  /** How many processes of test/programs/bystander.mjs are at work beside them. */
  readonly bystanders?: number
  readonly onProgress?: (kills: number) => void
}

export interface Load {
  readonly kills: number
  /** How many of the killed were inside a change. */
  readonly killedHolders: number
  readonly stops: number
  readonly operations: ReadonlyMap<string, readonly Operation<Input, Output>[]>
  /** What must never happen, as the processes saw it. */
  readonly violations: readonly string[]
  /** How often something was done, such as `owned`. */
  readonly did: Readonly<Record<string, number>>
  /** Increments of `count-0` by a program that knows only proper-lockfile. */
  readonly byStranger: number
}

interface Contender {
  readonly name: string
  /** nsenter(1), if it runs on the other host. */
  readonly child: ChildProcess
  readonly pid: number
}

/** Sandboxes that are there before the contenders come. */
export const PERMANENT = /^(count|walk)/

/** In microseconds, on the contenders' clock. */
const now = () => Number(process.hrtime.bigint() / 1000n)

/**
 * Lets contenders loose on a root, kills one after another, and replaces each.
 * @param place where they keep their logs and witnesses
 */
export async function runLoad(root: string, place: string, options: LoadOptions): Promise<Load> {
  const { ids, idsEach = ids.length, rest = 12, pause, kills, lasts = Number.POSITIVE_INFINITY } = options
  for (const folder of ['logs', 'witnesses']) mkdirSync(join(place, folder))
  const store = await openStore(root)
  for (const id of ids) if (PERMANENT.test(id)) await store.create(id)
  await store.close()
  const otherHost = options.otherHost ? await startOtherHost() : undefined
  const hosts = [undefined, ...(otherHost === undefined ? [] : [otherHost.start])]
  let started = 0
  const start = () => {
    const nth = started++
    const own = ids.toSorted(() => Math.random() - 0.5).slice(0, idsEach)
    return begun(`contender-${nth}`, name =>
      startProgram('contender', [root, place, name, String(rest), ...own], hosts[nth % hosts.length]),
    )
  }
  const stranger = options.stranger ? startProgram('stranger', [root, 'count-0']) : undefined
  if (stranger !== undefined) await nextMessage(stranger)
  const bystanders = await Promise.all(
    Array.from({ length: options.bystanders ?? 0 }, (_, i) => startBystander(root, place, i)),
  )
  const contenders = await Promise.all(Array.from({ length: options.contenders }, start))
  const spares = Array.from({ length: Math.min(3, kills) }, start)
  const stops = new Stops(options.stopped)
  const end = performance.now() + lasts
  /** When each of the killed was seen to be dead. */
  const deaths = new Map<string, number>()
  let killedHolders = 0
  while (deaths.size < kills && performance.now() < end) {
    const fresh = await spares.shift()
    if (fresh === undefined) break
    if (deaths.size + spares.length + 1 < kills) spares.push(start())
    await sleep(Math.random() * pause)
    const other = contenders[victimAmong(root, contenders).at]
    if (other !== undefined) stops.stop(other)
    const { at, isHolder } = victimAmong(root, contenders)
    const [contender] = contenders.splice(at, 1)
    if (contender === undefined) throw new Error('no contender is left')
    if (isHolder) killedHolders++
    await kill(contender)
    deaths.set(contender.name, now())
    contenders.push(fresh)
    options.onProgress?.(deaths.size)
  }
  stops.end()
  contenders.push(...(await Promise.all(spares)))
  await Promise.all([...contenders, ...bystanders].map(stop))
  const { count: byStranger = 0, robbed } = stranger === undefined ? {} : await lastWords(stranger)
  await otherHost?.end()
  const log = readLogs(join(place, 'logs'), deaths)
  if (robbed !== undefined) log.violations.push(`proper-lockfile's user was robbed: ${robbed}`)
  return { kills: deaths.size, killedHolders, stops: stops.count, byStranger, ...log }
}

async function startBystander(root: string, place: string, nth: number): Promise<Contender> {
  return begun(`bystander-${nth}`, name => startProgram('bystander', [root, place, name]))
}

async function begun(name: string, start: (name: string) => ChildProcess): Promise<Contender> {
  const child = start(name)
  const { pid } = (await nextMessage(child)) as { pid: number }
  return { name, child, pid }
}

/** Stops processes for a while: longer than proper-lockfile waits before it takes a lock over, if the test says so. */
class Stops {
  count = 0
  private readonly timers = new Map<NodeJS.Timeout, Contender>()

  constructor(private readonly how = { atOnce: 0, ms: 0 }) {}

  stop(contender: Contender): void {
    if (this.timers.size >= this.how.atOnce) return
    signal(contender, 'SIGSTOP')
    this.count++
    const timer = setTimeout(() => this.goOn(timer), this.how.ms)
    this.timers.set(timer, contender)
  }

  end(): void {
    for (const timer of this.timers.keys()) this.goOn(timer)
  }

  private goOn(timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    const contender = this.timers.get(timer)
    this.timers.delete(timer)
    if (contender !== undefined) signal(contender, 'SIGCONT')
  }
}

function signal({ child, pid }: Contender, name: NodeJS.Signals): void {
  if (!isAlive(child)) return
  process.kill(pid, name)
  // nsenter(1) stops itself when the program that it started is stopped.
  if (child.pid !== pid && name !== 'SIGSTOP') child.kill('SIGCONT')
}

/** The place of a contender that is to be killed or stopped: half of the time one that is inside a change, if there is one. */
function victimAmong(root: string, contenders: readonly Contender[]): { at: number; isHolder: boolean } {
  for (const id of Math.random() < 0.5 ? [] : readdirSync(root)) {
    const holder = holderPid(join(root, id, 'lock'))
    const at = contenders.findIndex(({ pid }) => pid === holder)
    if (at !== -1) return { at, isHolder: true }
  }
  return { at: Math.floor(Math.random() * contenders.length), isHolder: false }
}

/** By the note in a `lock` file; on the other host its pid is another one. */
function holderPid(lock: string): number | undefined {
  try {
    const record = JSON.parse(readFileSync(lock, 'utf8'))
    return record.held === true ? record.pid : undefined
  } catch {
    return undefined
  }
}

async function kill(contender: Contender): Promise<void> {
  const exited = once(contender.child, 'exit')
  signal(contender, 'SIGKILL')
  await exited
}

async function stop({ name, child }: Contender): Promise<void> {
  const exited = once(child, 'exit')
  child.send('stop')
  const [code, signal] = await exited
  if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}`)
}

async function lastWords(stranger: ChildProcess): Promise<{ count: number; robbed?: string }> {
  const report = nextMessage(stranger)
  stranger.send('stop')
  return (await report) as { count: number; robbed?: string }
}

type Line =
  | { readonly nth: number; readonly start: number; readonly id: string; readonly input: Input }
  | { readonly nth: number; readonly end: number; readonly output: Output }
  | { readonly violation: string }
  | { readonly did: string }

function readLogs(logs: string, deaths: ReadonlyMap<string, number>) {
  const operations = new Map<string, Operation<Input, Output>[]>()
  const violations: string[] = []
  const did: Record<string, number> = {}
  for (const name of readdirSync(logs)) {
    const open = new Map<number, { readonly start: number; readonly id: string; readonly input: Input }>()
    const close = (nth: number, end: number, output: Output | undefined) => {
      const call = open.get(nth)
      if (call === undefined) throw new Error(`${name} ended a call that it did not begin`)
      open.delete(nth)
      const { id, start, input } = call
      const list = operations.get(id) ?? []
      operations.set(id, list)
      list.push({ start, end, input, output })
    }
    for (const line of linesOf(join(logs, name))) {
      if ('violation' in line) violations.push(line.violation)
      else if ('did' in line) did[line.did] = (did[line.did] ?? 0) + 1
      else if ('start' in line) open.set(line.nth, line)
      else close(line.nth, line.end, line.output)
    }
    const death = deaths.get(name)
    if (open.size > 0 && death === undefined) throw new Error(`${name} left a call open and was not killed`)
    for (const nth of open.keys()) close(nth, death ?? 0, undefined)
  }
  return { operations, violations, did }
}

/** The last line of a killed process may be cut short. */
function linesOf(file: string): Line[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Line)
}
