import { type CheckOptions, type Finding, type FindingCode, stateFault } from '../check.js'
import { isValidId } from '../sandbox-id.js'
import { visible } from '../state/show.js'
import type { Cluster } from './cluster.js'
import { endOf, type Keys } from './keys.js'
import { pagesBelow } from './list.js'

/**
 * Looks through a store and changes nothing: every value that is no state, every key that can be no sandbox's, and
 * every history without its sandbox.
 * @param patience how long one request may take, in ms
 * @throws StateStoreError `IO_ERROR`
 */
export async function* checkInEtcd(
  cluster: Cluster,
  keys: Keys,
  patience: number,
  { onProgress }: CheckOptions,
): AsyncGenerator<Finding, void, undefined> {
  const seen = new Set<string>()
  for await (const { found } of pagesBelow(cluster, keys.states, patience)) {
    for (const { key, value } of found) {
      const id = keys.idOf(key)
      if (!isValidId(id)) {
        yield finding('INVALID_ID', key, 'it is no sandbox id, and the store never reads it')
        continue
      }
      const fault = stateFault(value)
      if (fault !== undefined) yield finding(fault.code, key, fault.message, id)
      seen.add(id)
      onProgress?.(seen.size)
    }
  }
  for await (const { found } of pagesBelow(cluster, keys.histories, patience, { keysOnly: true })) {
    for (const { key } of found) {
      const [id = ''] = key.slice(keys.histories.length).split('/')
      if (seen.has(id)) continue
      seen.add(id)
      const below = keys.historyOf(id)
      if (!isValidId(id)) yield finding('INVALID_ID', below, 'it is the history of no sandbox id')
      else if (await isStrayHistory(cluster, keys, id, performance.now() + patience)) {
        yield finding('UNFINISHED_CREATE', below, 'it is the history of a sandbox that does not exist', id)
      }
    }
  }
}

/** Whether there is a history without a sandbox: whoever deletes a state's key by other means leaves it. */
async function isStrayHistory(cluster: Cluster, keys: Keys, id: string, deadline: number): Promise<boolean> {
  const below = keys.historyOf(id)
  const requests = [
    { key: keys.state(id), keysOnly: true },
    { key: below, end: endOf(below), limit: 1, keysOnly: true },
  ]
  const [state = [], history = []] = (await cluster.ranges(requests, deadline, id)).found
  return state.length === 0 && history.length > 0
}

function finding(code: FindingCode, key: string, why: string, id?: string): Finding {
  const message = `etcd's key ${visible(key)}: ${why}`
  return { code, ...(id === undefined ? {} : { id }), path: key, message, repairable: false }
}
