import { readFileSync } from 'node:fs'
import type { StoredSandbox } from 'sandbox-state'
import { cgroupPathOf } from './programs/payload.mjs'

/** A line of the log that the workers keep outside of the filesystem that is cut off. */
interface Line {
  readonly by: string
  /** How long the log of writes was: before the call, or after its acknowledgement. */
  readonly at: number
  readonly begin?: string
  readonly after?: Expected | null
  readonly done?: string
  readonly blockIndex?: number
  readonly created?: string
  readonly failed?: string | null
  readonly message?: string
}

interface Expected {
  readonly state: string
  readonly blockIndex: number
  readonly isOwned: boolean
}

/** What the store owes for one sandbox. */
interface Debt {
  acknowledged: Expected | null
  /** Begun and not acknowledged: it may be there or not. */
  begun: Expected | null | undefined
}

/** What the workers were promised, read from their log. */
export class Acknowledged {
  /** Changes that were acknowledged. */
  count = 0
  /** How the workers' last calls failed. */
  readonly failures: { readonly code: string | null; readonly message: string }[] = []
  private readonly own = new Map<string, Debt>()
  private readonly shared = { exists: false, begun: 0, acknowledged: 0 }

  /** @param cut up to which position in the log of writes */
  constructor(log: string, cut = Number.POSITIVE_INFINITY) {
    // A worker that is killed while it writes leaves half a line, which tells of nothing that it was promised.
    for (const text of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
      const line: Line = JSON.parse(text)
      if (line.at <= cut) this.add(line)
    }
  }

  get ids(): string[] {
    return [...this.own.keys(), 'shared']
  }

  /** Some of them, beginning with those that were just being changed. */
  lastChanged(count: number): string[] {
    const isUnderWay = (id: string) => Number(this.own.get(id)?.begun !== undefined)
    return this.ids.sort((a, b) => isUnderWay(b) - isUnderWay(a)).slice(0, count)
  }

  private add(line: Line): void {
    if (line.failed !== undefined) {
      this.failures.push({ code: line.failed, message: line.message ?? '' })
    } else if (line.begin === 'shared') {
      this.shared.begun++
    } else if (line.begin !== undefined) {
      this.debt(line.begin).begun = line.after ?? null
    } else {
      this.count++
      if (line.created === 'shared') this.shared.exists = true
      else if (line.done === 'shared') this.countShared(line.blockIndex ?? 0)
      else if (line.done !== undefined) this.acknowledge(this.debt(line.done))
    }
  }

  private countShared(blockIndex: number): void {
    this.shared.exists = true
    this.shared.acknowledged = Math.max(this.shared.acknowledged, blockIndex)
  }

  private acknowledge(debt: Debt): void {
    debt.acknowledged = debt.begun ?? null
    debt.begun = undefined
  }

  private debt(id: string): Debt {
    const debt = this.own.get(id) ?? { acknowledged: null, begun: undefined }
    this.own.set(id, debt)
    return debt
  }

  /** What is wrong with a sandbox as it was found, undefined standing for one that does not exist. */
  faults(id: string, found: StoredSandbox | undefined): string[] {
    if (found === undefined) return id === 'shared' ? this.sharedFaults(undefined) : this.ownFaults(id, null)
    const { state, blockIndex, cgroupPath } = found.state
    if (cgroupPath !== cgroupPathOf(id, blockIndex)) {
      return [`${id} is put together of two states: ${state} ${blockIndex}, ${cgroupPath.slice(0, 80)}`]
    }
    if (found.owner?.state === 'owned') return [`${id} is owned by a process that does not run`]
    if (id === 'shared') return this.sharedFaults(blockIndex)
    return this.ownFaults(id, { state, blockIndex, isOwned: found.owner !== undefined })
  }

  private sharedFaults(found: number | undefined): string[] {
    const { exists, acknowledged, begun } = this.shared
    if (found === undefined) return exists ? ['shared was created and is not there'] : []
    if (found >= acknowledged && found <= begun) return []
    return [`shared counts ${found}, with ${acknowledged} acknowledged and ${begun} begun`]
  }

  private ownFaults(id: string, found: Expected | null): string[] {
    const { acknowledged, begun } = this.debt(id)
    if (isSame(found, acknowledged) || (begun !== undefined && isSame(found, begun))) return []
    const also = begun === undefined ? '' : `, or ${brief(begun)}, which was begun`
    return [`${id} is ${brief(found)}, acknowledged was ${brief(acknowledged)}${also}`]
  }
}

function isSame(a: Expected | null, b: Expected | null): boolean {
  return brief(a) === brief(b)
}

function brief(state: Expected | null): string {
  if (state === null) return 'absent'
  return `${state.state} ${state.blockIndex}${state.isOwned ? ' owned' : ''}`
}
