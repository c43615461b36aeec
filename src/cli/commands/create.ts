import { changeCommand } from '../change.js'
import { FIELD_OPTIONS, givenFields } from '../options.js'

export const command = changeCommand({
  description: 'Create a sandbox. It starts ready; a field that is not given is 0, false or empty.',
  examples: [
    ['create a', 'a sandbox named a'],
    ['create a --cgroup-path /kata/a', 'with one of its fields'],
  ],
  done: 'the sandbox is created, and on the disk',
  failed: 'it was not created: ALREADY_EXISTS, INVALID_ID, LOCK_TIMEOUT or IO_ERROR',
  takes: FIELD_OPTIONS,
  async change(store, options, id) {
    const state = await store.create(id, givenFields(options))
    return { state, words: `created, ${state.state}` }
  },
})
