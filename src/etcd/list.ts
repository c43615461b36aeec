import type { ListEntry } from '../backend.js'
import { StateStoreError } from '../errors.js'
import { isValidId } from '../sandbox-id.js'
import type { Cluster } from './cluster.js'
import { GatewayError } from './gateway-error.js'
import { endOf, type Keys } from './keys.js'
import { stateIn } from './value.js'
import type { KeyValue } from './wire.js'

/** Keys in one answer. */
const PAGE = 128

/** Some keys and the revision at which they were read. */
export interface Page {
  readonly found: readonly KeyValue[]
  readonly revision: bigint
}

/**
 * Every key that begins with a text, in order, all as they were at one revision. Only if etcd compacts that one
 * away meanwhile, the rest is as it is then.
 * @param patience how long each page may take, in ms
 * @throws StateStoreError `IO_ERROR`; what the signal was aborted with
 */
export async function* pagesBelow(
  cluster: Cluster,
  prefix: string,
  patience: number,
  { keysOnly = false, signal }: { readonly keysOnly?: boolean; readonly signal?: AbortSignal } = {},
): AsyncGenerator<Page, void, undefined> {
  const end = endOf(prefix)
  let key = prefix
  let revision: bigint | undefined
  for (;;) {
    const request = { key, end, limit: PAGE, keysOnly, ...(revision === undefined ? {} : { revision }) }
    try {
      const deadline = performance.now() + patience
      const { found, more, revision: now } = await cluster.range(request, deadline, undefined, signal)
      revision ??= now
      yield { found, revision }
      const last = found.at(-1)
      if (!more || last === undefined) return
      key = `${last.key}\0`
    } catch (error) {
      if (!isCompacted(error) || revision === undefined) throw error
      revision = undefined
    }
  }
}

function isCompacted(error: unknown): boolean {
  return error instanceof StateStoreError && error.cause instanceof GatewayError && error.cause.isCompacted
}

/** The sandbox of a state's key, with the state or why it cannot be read; undefined when the key is a stranger's. */
export function entryOf(keys: Keys, at: KeyValue): ListEntry | undefined {
  const id = keys.idOf(at.key)
  if (!isValidId(id)) return undefined
  try {
    return { id, state: stateIn(at, id) }
  } catch (error) {
    if (error instanceof StateStoreError) return { id, error }
    throw error
  }
}
