import { changeCommand } from '../change.js'
import { labelOption } from '../labels.js'
import { changeOptions, DATA, FIELD_OPTIONS, givenFields, REASON } from '../options.js'

export const command = changeCommand({
  description: 'Create a sandbox. It starts ready; a field that is not given is 0, false or empty.',
  examples: [
    ['create a', 'a sandbox named a'],
    ['create a --cgroup-path /kata/a', 'with one of its fields'],
    ['create a --label team=x --label tier=web', 'with two labels'],
    [`create a --data '{"image":"alpine"}'`, 'with data of your own'],
  ],
  done: 'the sandbox is created, and on the disk',
  failed: 'it was not created: ALREADY_EXISTS, INVALID_ID, LOCK_TIMEOUT or IO_ERROR',
  takes: [...FIELD_OPTIONS, labelOption('a label, such as team=a; may be repeated'), DATA, REASON],
  async change(store, options, id) {
    const { label: labels = {} } = options
    const state = await store.create(id, { ...givenFields(options), labels }, changeOptions(options))
    return { state, words: `created, ${state.state}` }
  },
})
