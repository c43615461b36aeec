import type {
  Backend,
  ChangeRequest,
  HistoryEntry,
  ListEntry,
  Observation,
  Ownership,
  OwnOptions,
  StoredSandbox,
} from '../backend.js'
import type { CheckOptions, Finding } from '../check.js'
import { StateStoreError } from '../errors.js'
import { KeyedQueue } from '../queue.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { parseAddress } from './address.js'
import { changeEtcd } from './change.js'
import { checkEtcd } from './check.js'
import { Cluster } from './cluster.js'
import { historyEtcd } from './history.js'
import { keysBelow } from './keys.js'
import { type EtcdOwnOptions, ownEtcd } from './own.js'
import { decodeEntry, findEtcd, listEtcd } from './read.js'
import { SharedWatch } from './shared-watch.js'
import { watchEtcd } from './watch.js'

/** The shortest wait for etcd, in ms: an election takes about two seconds. */
const MIN_TIMEOUT = 5_000

/** How long the lease of an owner lasts unless it is renewed, in seconds. */
const LEASE = 10

/** Changes of one sandbox in this process queue here, so that they do not compete in etcd. */
const queue = new KeyedQueue()

/** Keeps each sandbox's state under a key of its own in etcd. */
export class EtcdBackend implements Backend {
  private readonly cluster: Cluster
  private readonly watches: EtcdOwnOptions['watches']
  private ownerships = 0
  private isClosed = false

  /** @throws TypeError when the address `root` or the option `etcd` of `openStore` is malformed */
  constructor(
    root: string,
    etcd: unknown,
    private readonly options: {
      /** How long to retry a change while other writers win, in ms. */
      readonly lockTimeout: number
      readonly history: boolean
      /** A shorter lease of owners than {@link LEASE}, for tests, in seconds. */
      readonly lease?: number
    },
  ) {
    const timeout = Math.max(options.lockTimeout, MIN_TIMEOUT)
    const cluster = new Cluster(parseAddress(root), etcd, timeout)
    this.cluster = cluster
    this.watches = {
      records: new SharedWatch(cluster, keysBelow(cluster.keys.owners), true),
      living: new SharedWatch(cluster, keysBelow(cluster.keys.living), false),
    }
  }

  async read(id: string): Promise<SandboxState | undefined> {
    const { ranges } = await this.cluster.read([{ key: this.cluster.keys.state(id) }], { id })
    const [[entry] = []] = ranges
    return entry && decodeEntry(entry, id)
  }

  find(id: string): Promise<StoredSandbox | undefined> {
    return findEtcd(this.cluster, id)
  }

  async change(id: string, change: ChangeRequest): Promise<SandboxState | undefined> {
    const { lockTimeout, history } = this.options
    const { name, timeout } = this.cluster
    const now = performance.now()
    const limits = { contentionDeadline: now + lockTimeout, deadline: now + timeout }
    const key = `${name}/${id}`
    const turn = queue.enter(key, timeout, change.signal)
    if (turn !== undefined && !(await turn)) {
      change.signal?.throwIfAborted()
      const message = `sandbox ${id}: earlier changes of it in this process took longer than ${timeout} ms`
      throw new StateStoreError('LOCK_TIMEOUT', message, { id })
    }
    try {
      return await changeEtcd(this.cluster, { id, change, history, ...limits })
    } finally {
      queue.leave(key)
    }
  }

  list(): AsyncIterable<ListEntry> {
    return listEtcd(this.cluster)
  }

  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Observation> {
    return watchEtcd(this.cluster, id, signal)
  }

  history(id: string): AsyncIterable<HistoryEntry> {
    return historyEtcd(this.cluster, id)
  }

  check(options: CheckOptions & { readonly id?: string }): AsyncGenerator<Finding, void, undefined> {
    return checkEtcd(this.cluster, options)
  }

  async own(id: string, options: OwnOptions): Promise<Ownership> {
    const { lease: leaseSeconds = LEASE } = this.options
    const onEnd = () => {
      this.ownerships--
      this.closeUnused()
    }
    const { cluster, watches } = this
    const ownership = await ownEtcd(cluster, id, { ...options, leaseSeconds, watches, onEnd })
    this.ownerships++
    return ownership
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.closeUnused()
  }

  /** What is owned stays owned when the store is closed, and its lease is renewed. */
  private closeUnused(): void {
    if (this.isClosed && this.ownerships === 0) this.cluster.close()
  }
}
