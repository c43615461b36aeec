import { Option } from 'commander'
import { changedFields } from '../../state/fields.js'
import type { SandboxState } from '../../state/sandbox-state.js'
import { show } from '../../state/show.js'
import { changeCommand } from '../change.js'
import { UsageError } from '../errors.js'
import { FIELD_OPTIONS, givenFields } from '../options.js'

export const command = changeCommand({
  description:
    "Change a sandbox's fields; one that is not given stays as it is. For its state, see transition.",
  examples: [
    ['update a --block-index 2', 'change one field'],
    ["update a --cgroup-path '' --no-hotplug-probe", 'clear two fields'],
  ],
  done: 'the sandbox is changed, and on the disk',
  failed: 'it was not changed: NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
  takes: [...FIELD_OPTIONS, new Option('--no-hotplug-probe', "the guest's kernel cannot probe it")],
  async change(store, options, id) {
    const fields = givenFields(options)
    if (Object.keys(fields).length === 0) throw new UsageError('no field is given, such as --block-index 2')
    let words = ''
    const state = await store.update(id, before => {
      const after = { ...before, ...fields }
      words = difference(before, after)
      return after
    })
    return { state, words }
  },
})

/** Such as `blockIndex 1 -> 2, cgroupPath "" -> "/a"`. */
function difference(before: SandboxState, after: SandboxState): string {
  const changes = changedFields(before, after).map(
    field => `${field} ${show(before[field])} -> ${show(after[field])}`,
  )
  return changes.length === 0 ? 'unchanged' : changes.join(', ')
}
