import { Option } from 'commander'
import { changedFields, type FieldName } from '../../state/fields.js'
import type { SandboxState } from '../../state/sandbox-state.js'
import { show, visible } from '../../state/show.js'
import { changeCommand } from '../change.js'
import { UsageError } from '../errors.js'
import { labelOption, labelWords, UNLABEL } from '../labels.js'
import { changeOptions, DATA, FIELD_OPTIONS, givenFields, type Options, REASON } from '../options.js'

export const command = changeCommand({
  description:
    "Change a sandbox's fields, labels and data; what is not given stays as it is. For its state, see transition.",
  notes:
    '--data replaces all of the data, also with null, which is a value like any\nother; --no-data removes it.',
  examples: [
    ['update a --block-index 2', 'change one field'],
    ["update a --cgroup-path '' --no-hotplug-probe", 'clear two fields'],
    ['update a --label team=x --unlabel tier', 'set a label, remove another'],
    [`update a --data '{"image":"alpine"}'`, 'replace its data'],
  ],
  done: 'the sandbox is changed, and on the disk',
  failed: 'it was not changed: NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
  takes: [
    ...FIELD_OPTIONS,
    new Option('--no-hotplug-probe', "the guest's kernel cannot probe it"),
    labelOption('set this label, such as team=a; may be repeated'),
    UNLABEL,
    DATA,
    new Option('--no-data', 'remove the data'),
    REASON,
  ],
  async change(store, options, id) {
    assertSomething(options)
    let words = ''
    const update = (before: SandboxState) => {
      const after = updated(before, options)
      words = difference(before, after)
      return after
    }
    return { state: await store.update(id, update, changeOptions(options)), words }
  },
})

function assertSomething(options: Options): void {
  const { label = {}, unlabel = [], data } = options
  const both = unlabel.find(name => Object.hasOwn(label, name))
  if (both !== undefined) throw new UsageError(`the label ${both} is both set and removed`)
  const count = Object.keys({ ...givenFields(options), ...label }).length + unlabel.length
  if (count === 0 && data === undefined)
    throw new UsageError('nothing to change is given, such as --block-index 2 or --label team=a')
}

function updated(before: SandboxState, options: Options): SandboxState {
  const { label, unlabel = [], data } = options
  const after = { ...before, ...givenFields(options) }
  if (data === false) delete after.data
  if (label === undefined && unlabel.length === 0) return after
  const labels = Object.entries({ ...before.labels, ...label })
  return { ...after, labels: Object.fromEntries(labels.filter(([name]) => !unlabel.includes(name))) }
}

/** Such as `blockIndex 1 -> 2, cgroupPath "" -> "/a"`. */
function difference(before: SandboxState, after: SandboxState): string {
  const changes = changedFields(before, after).map(
    field => `${field} ${valueWords(field, before)} -> ${valueWords(field, after)}`,
  )
  return changes.length === 0 ? 'unchanged' : changes.join(', ')
}

const LONGEST_DATA = 60

function valueWords(field: FieldName, state: SandboxState): string {
  if (field === 'labels') return labelWords(state.labels, 'none')
  if (field !== 'data') return show(state[field])
  const json = JSON.stringify(state.data) ?? 'none'
  return visible(json.length > LONGEST_DATA ? `${json.slice(0, LONGEST_DATA)}…` : json)
}
