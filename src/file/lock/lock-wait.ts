import type { LockHolder } from '../../backend.js'
import type { Change } from '../../change.js'
import { publishLockWait } from '../../diagnostics.js'
import { StateStoreError } from '../../errors.js'
import { Dir } from '../posix/dir.js'
import { findHolder } from './holder.js'

/** The wait of one change for the locks of others, for those who want to know of it. */
export class LockWait {
  private since: number | undefined
  private until: number | undefined
  private holder: LockHolder | undefined

  constructor(
    private readonly root: string,
    private readonly id: string,
    private readonly kind: Change['kind'],
  ) {}

  /** A lock is held by another. No lock is held by us then, so there is time to see by whom. */
  blocked(lock: LockHolder['lock']): void {
    this.until = undefined
    if (this.since !== undefined) return
    this.since = performance.now()
    this.holder = holderOf(this.root, this.id, lock)
  }

  /** Now it is ours. */
  entered(): void {
    this.until = performance.now()
  }

  /** The change is over, and its locks are released. */
  publish(error: unknown): void {
    if (this.since === undefined) return
    publishLockWait({
      id: this.id,
      kind: this.kind,
      duration: (this.until ?? performance.now()) - this.since,
      timedOut: error instanceof StateStoreError && error.code === 'LOCK_TIMEOUT',
      holder: this.holder ?? { lock: 'flock' },
    })
  }
}

function holderOf(root: string, id: string, lock: LockHolder['lock']): LockHolder {
  try {
    const folder = Dir.open(root, id)
    if (folder === undefined) return { lock }
    try {
      return findHolder(folder, lock)
    } finally {
      folder.close()
    }
  } catch {
    return { lock }
  }
}
