import { StateStoreError } from '../errors.js'
import { visible } from '../state/show.js'
import type { Cluster } from './cluster.js'
import { endOf, type Keys } from './keys.js'
import { entryOf, pagesBelow } from './list.js'
import type { KeyValue } from './wire.js'

/** Something in etcd below a store's prefix that this package did not leave so. */
export interface EtcdFault {
  /** The key at fault. */
  readonly path: string
  /** The sandbox; absent when the key names none. */
  readonly id?: string
  /** What is wrong with it. `CORRUPT_STATE` and `INVALID_STATE` as a read has them, also for a key that is no sandbox's. */
  readonly error: StateStoreError
}

/**
 * Looks through a store and changes nothing: every value that is no state, every key among the states that can be no
 * sandbox's, and every history without its sandbox.
 * @param patience how long one request may take, in ms
 * @throws StateStoreError `IO_ERROR`
 */
export async function* faultsInEtcd(
  cluster: Cluster,
  keys: Keys,
  patience: number,
): AsyncGenerator<EtcdFault, void, undefined> {
  for await (const { found } of pagesBelow(cluster, keys.states, patience)) {
    for (const at of found) yield* faultOf(keys, at)
  }
  yield* strayHistories(cluster, keys, patience)
}

function* faultOf(keys: Keys, at: KeyValue): Generator<EtcdFault> {
  const entry = entryOf(keys, at)
  if (entry === undefined) yield fault(at.key, undefined, 'it is no sandbox id, and the store never reads it')
  else if ('error' in entry) yield { path: at.key, id: entry.id, error: entry.error }
}

/** Whoever deletes a state's key by other means leaves its history. The next sandbox of that id removes it. */
async function* strayHistories(cluster: Cluster, keys: Keys, patience: number): AsyncGenerator<EtcdFault> {
  let last: string | undefined
  for await (const { found } of pagesBelow(cluster, keys.histories, patience, { keysOnly: true })) {
    for (const { key } of found) {
      const [id = ''] = key.slice(keys.histories.length).split('/')
      if (id === last) continue
      last = id
      const deadline = performance.now() + patience
      const now = await cluster.ranges(
        [{ key: keys.state(id), keysOnly: true }, historyOf(keys, id)],
        deadline,
      )
      const [state = [], history = []] = now.found
      if (state.length === 0 && history.length > 0) {
        yield fault(keys.historyOf(id), id, 'it is the history of a sandbox that does not exist')
      }
    }
  }
}

function historyOf(keys: Keys, id: string) {
  return { key: keys.historyOf(id), end: endOf(keys.historyOf(id)), limit: 1, keysOnly: true }
}

function fault(key: string, id: string | undefined, why: string): EtcdFault {
  const error = new StateStoreError('CORRUPT_STATE', `etcd's key ${visible(key)}: ${why}`, { id, path: key })
  return { path: key, ...(id === undefined ? {} : { id }), error }
}
