import type { LockHolder, Owner } from './backend.js'
import { StateStoreError } from './errors.js'
import { isInOtherPidNamespace, type ProcessIdentity } from './process-identity.js'
import type { Shape } from './record.js'
import { isText, isTime } from './recorded-change.js'
import type { SandboxState } from './state/sandbox-state.js'
import { visible } from './state/show.js'

/** A process, as this one sees it. */
export type Holder = Omit<LockHolder, 'lock'>

/** What is recorded about a process that locks or owns a sandbox, in a file or on etcd. */
export interface ProcessRecord extends ProcessIdentity {
  /** When it took the lock or the ownership, in ISO 8601. */
  readonly since: string
}

const isShort = (value: unknown) => isText(value, 128)

/** How such a record is checked: not trusted, and so short that it fits into the reason of a reap. */
export const PROCESS_RECORD: Shape<ProcessRecord> = {
  pid: value => Number.isSafeInteger(value) && Number(value) > 0,
  start: isShort,
  boot: isShort,
  pidns: value => value === undefined || isShort(value), // The first builds wrote none.
  host: isShort,
  command: isShort,
  since: isTime,
}

/** The process that a record names, as this one sees it. */
export function processOf(record: ProcessRecord): Holder {
  const { pid, host, command, since } = record
  const isOther = isInOtherPidNamespace(record)
  return { pid, ...(isOther && { otherPidNamespace: true as const }), host, command, since }
}

/** A process in words, without what a terminal would obey. */
export function describeProcess({ pid, otherPidNamespace, host, command, since }: Holder): string {
  if (pid === undefined) return 'an unknown process'
  const words = [
    `pid ${pid}`,
    otherPidNamespace && 'of another pid namespace',
    command && `(${command})`,
    host && `on ${host}`,
    since && `since ${since}`,
  ]
  return visible(words.filter(Boolean).join(' '))
}

/** Whether a sandbox is recorded as running or paused, and its owner died without releasing it. */
export function isOrphan<Sandbox extends { readonly state: SandboxState; readonly owner?: Owner | null }>(
  sandbox: Sandbox,
): sandbox is Sandbox & { readonly owner: Owner } {
  const { state, owner } = sandbox
  return owner?.state === 'orphaned' && (state.state === 'running' || state.state === 'paused')
}

/** @param owner the owner, as far as is known */
export function alreadyOwned(id: string, owner: Holder, isHandedOver = false): StateStoreError {
  const handedOver = isHandedOver ? ', which ended and handed it over to a child' : ''
  const message = `sandbox ${id} is owned by ${describeProcess(owner)}${handedOver}`
  return new StateStoreError('OWNED', message, { id })
}

/** Whether both are the same process, and the same time at which it took ownership. */
function isSameOwner(one: Holder, other: Holder): boolean {
  return one.pid === other.pid && one.host === other.host && one.since === other.since
}

/**
 * Checks that a sandbox is still an orphan of the same owner.
 * @throws StateStoreError `OWNED`; `REVISION_MISMATCH` when it was released, or is another owner's orphan
 */
export function assertOrphanOf(id: string, owner: Owner | undefined, expected: Owner): void {
  if (owner?.state === 'owned') throw alreadyOwned(id, owner)
  if (owner !== undefined && isSameOwner(owner, expected)) return
  const message = `sandbox ${id} is no longer the orphan that it was`
  throw new StateStoreError('REVISION_MISMATCH', message, { id })
}
