import { readFileSync } from 'node:fs'
import type { SandboxState } from 'sandbox-state'
import { cgroupPathOf } from './programs/payload.mjs'

/** A line of the log that the workers keep outside of the filesystem that is cut off. */
interface Line {
  readonly by: string
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

  constructor(log: string) {
    // A worker that is killed while it writes leaves half a line, which tells of nothing that it was promised.
    for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) this.add(JSON.parse(line))
  }

  get ids(): string[] {
    return [...this.own.keys(), 'shared']
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
  fault(id: string, found: SandboxState | undefined): string | undefined {
    if (found !== undefined && found.cgroupPath !== cgroupPathOf(id, found.blockIndex)) {
      return `${id} is put together of two states: ${brief(found)}, ${found.cgroupPath.slice(0, 80)}`
    }
    return id === 'shared' ? this.sharedFault(found) : this.ownFault(id, found)
  }

  private sharedFault(found: SandboxState | undefined): string | undefined {
    const { exists, acknowledged, begun } = this.shared
    if (found === undefined) return exists ? 'shared was created and is not there' : undefined
    if (found.blockIndex >= acknowledged && found.blockIndex <= begun) return undefined
    return `shared counts ${found.blockIndex}, with ${acknowledged} acknowledged and ${begun} begun`
  }

  private ownFault(id: string, found: SandboxState | undefined): string | undefined {
    const { acknowledged, begun } = this.debt(id)
    if (isSame(found, acknowledged) || (begun !== undefined && isSame(found, begun))) return undefined
    const also = begun === undefined ? '' : `, or ${brief(begun)}, which was begun`
    return `${id} is ${brief(found)}, acknowledged was ${brief(acknowledged)}${also}`
  }
}

function isSame(found: SandboxState | undefined, expected: Expected | null): boolean {
  if (found === undefined || expected === null) return found === undefined && expected === null
  return found.state === expected.state && found.blockIndex === expected.blockIndex
}

function brief(state: Expected | null | undefined): string {
  return state ? `${state.state} ${state.blockIndex}` : 'absent'
}
