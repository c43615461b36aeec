import { type CheckOptions, type Finding, type FindingCode, stateFault } from '../check.js'
import { isValidId } from '../sandbox-id.js'
import { visible } from '../state/show.js'
import type { Cluster } from './cluster.js'
import { keysBelow } from './keys.js'
import { entriesIn } from './read.js'

/**
 * Reports every value that is not a state, every key that cannot be a sandbox's, and every history without its
 * sandbox. Changes nothing.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* checkEtcd(
  cluster: Cluster,
  { id: only, onProgress }: CheckOptions & { readonly id?: string },
): AsyncGenerator<Finding, void, undefined> {
  const { keys } = cluster
  if (only !== undefined) {
    const key = keys.state(only)
    const [[entry] = []] = (await cluster.read([{ key }], { id: only })).ranges
    const fault = entry && stateFault(entry.value)
    if (fault !== undefined) yield finding(fault.code, key, fault.message, only)
    return
  }
  const seen = new Set<string>()
  for await (const { key, value } of entriesIn(cluster, keysBelow(keys.states))) {
    const id = keys.idOf(key)
    if (!isValidId(id)) {
      yield finding('INVALID_ID', key, 'it is not a sandbox id, and the store never reads it')
      continue
    }
    const fault = stateFault(value)
    if (fault !== undefined) yield finding(fault.code, key, fault.message, id)
    seen.add(id)
    onProgress?.(seen.size)
  }
  for await (const { key } of entriesIn(cluster, { ...keysBelow(keys.histories), keysOnly: true })) {
    const [id = ''] = key.slice(keys.histories.length).split('/')
    if (seen.has(id)) continue
    seen.add(id)
    const folder = keys.historyOf(id)
    if (!isValidId(id)) {
      yield finding('INVALID_ID', folder, 'it is a history, but not of a sandbox id')
      continue
    }
    // Other programs that delete a state's key leave its history behind. Check again, reading both at one revision.
    const requests = [{ key: keys.state(id) }, { ...keysBelow(folder), limit: 1 }]
    const [states = [], records = []] = (await cluster.read(requests, { id })).ranges
    if (states.length > 0 || records.length === 0) continue
    yield finding('UNFINISHED_CREATE', folder, 'it is the history of a sandbox that does not exist', id)
  }
}

function finding(code: FindingCode, key: string, why: string, id?: string): Finding {
  const message = `etcd's key ${visible(key)}: ${why}`
  return { code, ...(id === undefined ? {} : { id }), path: key, message, repairable: false }
}
