import type { ListEntry, StoredSandbox } from './backend.js'
import { obstacleTo, type StateStoreError } from './errors.js'
import { isOrphan } from './owner.js'
import type { SandboxState } from './state/sandbox-state.js'
import type { Orphan, Reaped } from './store-types.js'

// The sweeps over a store, `prune` and `reap`: what they look for, and what they do about a sandbox that they cannot change.

/** A running sandbox is never pruned, whatever state the caller asks for. */
export async function* prunable<State extends SandboxState>(
  entries: AsyncIterable<ListEntry<State>>,
): AsyncGenerator<StoredSandbox<State>, void, undefined> {
  for await (const entry of entries) {
    if (!('error' in entry) && entry.state.state !== 'running') yield entry
  }
}

/** The running and paused sandboxes whose owner died. */
export async function* orphaned<State extends SandboxState>(
  entries: AsyncIterable<ListEntry<State>>,
): AsyncGenerator<Orphan<State>, void, undefined> {
  for await (const entry of entries) {
    if (!('error' in entry) && isOrphan(entry)) yield entry
  }
}

/** Orphans, each with the reason for which it is stopped. */
export async function* reapable<State extends SandboxState>(
  orphans: AsyncIterable<Orphan<State>>,
): AsyncGenerator<Reaped<State>, void, undefined> {
  for await (const orphan of orphans) {
    const { pid, command } = orphan.owner
    const reason = `owner died: ${pid === undefined ? 'an unknown process' : `pid ${pid} (${command})`}`
    yield { ...orphan, reason }
  }
}

/**
 * Changes one sandbox after the other, and yields those that were changed. Skips a sandbox that somebody else changed,
 * deleted or owned first, or that became unreadable. Also skips one that stays locked for too long, and throws its error at
 * the end.
 */
export async function* sweep<Entry>(
  entries: AsyncIterable<Entry>,
  change: (entry: Entry) => Promise<unknown>,
): AsyncGenerator<Entry, void, undefined> {
  let busy: StateStoreError | undefined
  for await (const entry of entries) {
    const obstacle = await obstacleTo(change(entry))
    if (obstacle === undefined) yield entry
    else if (obstacle.code === 'LOCK_TIMEOUT') busy ??= obstacle
  }
  if (busy !== undefined) throw busy
}
