import { Option } from 'commander'
import { changeCommand } from '../change.js'

export const command = changeCommand({
  description: 'Delete a sandbox that is not running. What other programs keep in its folder stays.',
  printed: 'null',
  examples: [
    ['delete a', 'delete it, unless it is running'],
    ['delete a --force', 'delete it, whatever its state'],
  ],
  done: 'the sandbox is deleted',
  failed:
    'it was not deleted: INVALID_TRANSITION (it is running), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
  takes: [new Option('--force', 'delete it even if it is running, or if its state cannot be read')],
  async change(store, { force = false }, id) {
    await store.delete(id, { force })
    return { state: null, words: 'deleted' }
  },
})
