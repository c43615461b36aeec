import { changeSandbox } from '../change.js'
import type { Define } from '../commands.js'
import { describeChange } from '../help.js'
import { addFieldOptions, changeFormatOption, type FieldOptions, givenFields } from '../options.js'

export const define: Define = (command, cli) =>
  describeChange(addFieldOptions(command), {
    description: 'Create a sandbox. It starts ready; a field that is not given is 0, false or empty.',
    examples: [
      ['create a', 'a sandbox named a'],
      ['create a --cgroup-path /kata/a', 'with one of its fields'],
    ],
    done: 'the sandbox is created, and on the disk',
    failed: 'it was not created: ALREADY_EXISTS, INVALID_ID, LOCK_TIMEOUT or IO_ERROR',
  })
    .addOption(changeFormatOption())
    .action((id: string, options: FieldOptions) =>
      changeSandbox(cli, command, id, options.format, async store => {
        const state = await store.create(id, givenFields(options))
        return { state, words: `created, ${state.state}` }
      }),
    )
