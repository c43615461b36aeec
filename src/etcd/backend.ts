import type { Backend, HistoryEntry, ListEntry, Sighting } from '../backend.js'
import type { Change } from '../change.js'
import type { CheckOptions, Finding } from '../check.js'
import { StateStoreError } from '../errors.js'
import { KeyedQueue } from '../queue.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { type EtcdAddress, parseAddress } from './address.js'
import { changeInEtcd, type Deadlines } from './change.js'
import { checkInEtcd } from './check.js'
import { Cluster } from './cluster.js'
import { historyInEtcd } from './history.js'
import { Keys } from './keys.js'
import { entryOf, pagesBelow } from './list.js'
import { checkEtcdOptions } from './options.js'
import { stateIn } from './value.js'
import { watchEtcd } from './watch.js'

export interface EtcdBackendOptions {
  /** How long a change goes on when others change the same sandbox each time, in ms. */
  readonly lockTimeout: number
  readonly history: boolean
}

/** How long a call waits for etcd at the least, in ms: an election takes about two seconds. */
const SHORTEST_PATIENCE = 5_000
/** What a timer of Node can count. */
const LONGEST_PATIENCE = 2 ** 31 - 1

/** Changes of one sandbox in this process queue here, and are not in each other's way in etcd. */
const queue = new KeyedQueue()

/**
 * @param root `etcd://HOST[:PORT][,...][/PREFIX]` or `etcds://...`
 * @param etcd the `etcd` option of `openStore`
 * @throws TypeError when either is not well-formed
 */
export function openEtcd(root: string, etcd: unknown, options: EtcdBackendOptions): EtcdBackend {
  const address = parseAddress(root)
  const tls = address.origins.every(origin => origin.startsWith('https:'))
  return new EtcdBackend(address, new Cluster(address, checkEtcdOptions(etcd, tls)), options)
}

/** Keeps each sandbox's state under a key of its own in etcd. */
export class EtcdBackend implements Backend {
  private readonly keys: Keys
  private readonly name: string
  private readonly underWay = new Set<Promise<unknown>>()

  constructor(
    { origins, prefix }: EtcdAddress,
    private readonly cluster: Cluster,
    private readonly options: EtcdBackendOptions,
  ) {
    this.keys = new Keys(prefix)
    this.name = `${origins.toSorted().join()}${prefix}`
  }

  async read(id: string): Promise<SandboxState | undefined> {
    const { found } = await this.cluster.range({ key: this.keys.state(id) }, this.deadline(), id)
    const [at] = found
    return at && stateIn(at, id)
  }

  async change(id: string, change: Change): Promise<SandboxState | undefined> {
    const { lockTimeout } = this.options
    const now = performance.now()
    const deadlines = { lockTimeout, contention: now + lockTimeout, answer: now + this.patience() }
    const result = queue.run(`${this.name}/${id}`, () => this.inTurn(id, change, deadlines))
    this.underWay.add(result)
    try {
      return await result
    } finally {
      this.underWay.delete(result)
    }
  }

  private inTurn(id: string, change: Change, deadlines: Deadlines): Promise<SandboxState | undefined> {
    if (performance.now() >= deadlines.answer) return Promise.reject(waitedTooLong(id, this.patience()))
    return changeInEtcd(this.cluster, this.keys, id, change, this.options.history, deadlines)
  }

  async *list(): AsyncGenerator<ListEntry> {
    for await (const { found } of pagesBelow(this.cluster, this.keys.states, this.patience())) {
      for (const at of found) {
        const entry = entryOf(this.keys, at)
        if (entry !== undefined) yield entry
      }
    }
  }

  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Sighting> {
    return watchEtcd(this.cluster, this.keys, id, this.patience(), signal)
  }

  history(id: string): AsyncIterable<HistoryEntry> {
    return historyInEtcd(this.cluster, this.keys, id, this.deadline())
  }

  check(options: CheckOptions): AsyncIterable<Finding> {
    return checkInEtcd(this.cluster, this.keys, this.patience(), options)
  }

  async close(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay)
    this.cluster.close()
  }

  private patience(): number {
    return Math.min(Math.max(this.options.lockTimeout, SHORTEST_PATIENCE), LONGEST_PATIENCE)
  }

  private deadline(): number {
    return performance.now() + this.patience()
  }
}

function waitedTooLong(id: string, ms: number): StateStoreError {
  const message = `sandbox ${id}: ${ms} ms went by while changes of it that this process asked for earlier were made`
  return new StateStoreError('LOCK_TIMEOUT', message, { id })
}
