import { StateStoreError } from './errors.js'
import { visible } from './state/show.js'

const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

/** Whether a text can be a sandbox's id, which is used as the name of a folder and as part of a key. */
export function isValidId(id: string): boolean {
  return ID.test(id)
}

/** @throws TypeError when it is not a string; StateStoreError `INVALID_ID` when it is not a valid id */
export function assertId(id: unknown): asserts id is string {
  if (typeof id !== 'string') throw new TypeError(`a sandbox id must be a string, not ${typeof id}`)
  if (isValidId(id)) return
  const shown = id.length > 160 ? `${id.slice(0, 160)}...` : id
  throw new StateStoreError(
    'INVALID_ID',
    `${visible(JSON.stringify(shown))} is not a sandbox id: 1 to 128 letters, digits, "_", "." or "-", beginning with a letter or digit`,
    { id: shown },
  )
}
