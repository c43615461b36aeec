import { setTimeout as sleep } from 'node:timers/promises'
import type { LockHolder } from '../backend.js'
import { StateStoreError } from '../errors.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import { whoWords } from './who.js'

/** How often to look who is in the way of a change, in ms. */
const PACE = 400

/** Makes a change of a sandbox, and shows on a terminal whom it waits for, if it takes long. */
export async function showingHolder<T>(
  cli: Cli,
  store: SandboxStore,
  id: string,
  change: () => Promise<T>,
): Promise<T> {
  using progress = cli.progress()
  if (!progress.isShown) return await change()
  const ended = new AbortController()
  const look = async () => {
    for (;;) {
      await sleep(PACE, undefined, { signal: ended.signal })
      const holder = await holderOf(store, id)
      const isOther = holder !== undefined && holder.pid !== process.pid
      progress.show(isOther ? `waiting for ${id}, held by ${holderWords(holder)}` : '')
    }
  }
  const looking = look().catch(() => {}) // Ended; or it cannot be told, which does not matter to the change.
  try {
    return await change()
  } finally {
    ended.abort()
    await looking
  }
}

/** Who holds a sandbox now, or one of those who do; undefined when nobody does or it cannot be told. */
export async function holderOf(store: SandboxStore, id: string): Promise<LockHolder | undefined> {
  try {
    for await (const { holder } of store.locks({ id })) return holder
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
  }
  return undefined
}

export function holderWords(holder: LockHolder): string {
  return holder.lock === 'flock' ? whoWords(holder) : 'another program (proper-lockfile)'
}
