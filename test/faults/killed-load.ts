import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StateString } from 'sandbox-state'
import { nextMessage, startProgram } from '../support/program.js'
import type { Operation } from './linearizability.js'

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

/** One contender met the witness of another inside an update. */
interface Meeting {
  readonly id: string
  readonly at: number
  readonly metInside: string
}

export interface Load {
  readonly kills: number
  /** Of the killed, those that were inside a change. */
  readonly killedHolders: number
  readonly operations: ReadonlyMap<string, readonly Operation<Input, Output>[]>
  /** Those with one that was not killed before. */
  readonly meetings: readonly Meeting[]
  /** Increments of `count-0` by a program that knows only proper-lockfile. */
  readonly byStranger: number
  /** Set when that program's lock was taken away. */
  readonly robbed: string | undefined
}

interface Contender {
  readonly name: string
  readonly child: ChildProcess
}

/** When a contender was killed, and when it was seen to be dead, in microseconds as the contenders count them. */
interface Death {
  readonly killed: number
  readonly dead: number
}

const CONTENDERS = 6

const now = () => Number(process.hrtime.bigint() / 1000n)

/** Lets contenders loose on a root, kills one after another, and replaces each. */
export async function runLoad(
  root: string,
  folders: { readonly logs: string; readonly witnesses: string },
  until: { readonly kills: number; readonly deadline: number },
): Promise<Load> {
  const { logs, witnesses } = folders
  const deaths = new Map<string, Death>()
  let started = 0
  let killedHolders = 0
  const start = async (): Promise<Contender> => {
    const name = `contender-${started++}`
    const child = startProgram('contender', [root, logs, witnesses, name])
    await nextMessage(child)
    return { name, child }
  }
  const stranger = startProgram('stranger', [root, 'count-0'])
  await nextMessage(stranger)
  const contenders = await Promise.all(Array.from({ length: CONTENDERS }, start))
  const spares = [start(), start(), start()]
  while (deaths.size < until.kills && performance.now() < until.deadline) {
    const fresh = await spares.shift()
    if (fresh === undefined) throw new Error('no spare is left')
    spares.push(start())
    await sleep(Math.random() * 20)
    const holder = holderAmong(root, contenders)
    const victim = holder ?? Math.floor(Math.random() * contenders.length)
    const contender = contenders.splice(victim, 1)[0]
    if (contender === undefined) throw new Error('no contender is left')
    if (holder !== undefined) killedHolders++
    deaths.set(contender.name, await kill(contender))
    contenders.push(fresh)
  }
  contenders.push(...(await Promise.all(spares)))
  await Promise.all(contenders.map(stop))
  const report = nextMessage(stranger)
  stranger.send('stop')
  const { count, robbed } = (await report) as { count: number; robbed?: string }
  return {
    kills: deaths.size,
    killedHolders,
    byStranger: count,
    robbed,
    ...readLogs(logs, deaths),
  }
}

/** A contender that holds a sandbox right now, by the notes in the `lock` files; half of the time, not to kill only those. */
function holderAmong(root: string, contenders: readonly Contender[]): number | undefined {
  if (Math.random() < 0.5) return undefined
  for (const id of readdirSync(root)) {
    const pid = holderPid(join(root, id, 'lock'))
    const index = contenders.findIndex(({ child }) => child.pid === pid)
    if (index !== -1) return index
  }
  return undefined
}

function holderPid(lock: string): number | undefined {
  try {
    const record = JSON.parse(readFileSync(lock, 'utf8'))
    return record.held === true ? record.pid : undefined
  } catch {
    return undefined
  }
}

async function kill({ child }: Contender): Promise<Death> {
  const exited = once(child, 'exit')
  const killed = now()
  child.kill('SIGKILL')
  await exited
  return { killed, dead: now() }
}

async function stop({ name, child }: Contender): Promise<void> {
  const exited = once(child, 'exit')
  child.send('stop')
  const [code, signal] = await exited
  if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}`)
}

type Line =
  | { readonly start: number; readonly id: string; readonly input: Input }
  | { readonly end: number; readonly output: Output }
  | Meeting

function readLogs(logs: string, deaths: ReadonlyMap<string, Death>): Pick<Load, 'operations' | 'meetings'> {
  const operations = new Map<string, Operation<Input, Output>[]>()
  const meetings: Meeting[] = []
  for (const name of readdirSync(logs)) {
    let open: { readonly start: number; readonly id: string; readonly input: Input } | undefined
    const close = (end: number, output: Output | undefined) => {
      if (open === undefined) return
      const { id, start, input } = open
      const list = operations.get(id) ?? []
      operations.set(id, list)
      list.push({ start, end, input, output })
      open = undefined
    }
    for (const line of linesOf(join(logs, name))) {
      if ('metInside' in line) meetings.push(line)
      else if ('start' in line) open = line
      else close(line.end, line.output)
    }
    const death = deaths.get(name)
    if (open !== undefined && death === undefined)
      throw new Error(`${name} left a call open and was not killed`)
    if (death !== undefined) close(death.dead, undefined)
  }
  const isOverlap = ({ metInside, at }: Meeting) =>
    (deaths.get(metInside)?.killed ?? Number.POSITIVE_INFINITY) > at
  return { operations, meetings: meetings.filter(isOverlap) }
}

/** The last line of a killed process may be cut short. */
function linesOf(file: string): Line[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Line)
}
