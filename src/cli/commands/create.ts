import { printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { changeHelpTail } from '../help.js'
import { showingHolder } from '../holder.js'
import { addFieldOptions, changeFormatOption, type FieldOptions, givenFields } from '../options.js'

export const define: Define = (command, cli) =>
  addFieldOptions(command)
    .description('Make a sandbox. It starts ready; a field that is not given is 0, false or empty.')
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      changeHelpTail({
        examples: [
          ['create a', 'a sandbox named a'],
          ['create a --cgroup-path /kata/a', 'with one of its fields'],
        ],
        done: 'the sandbox is made, and on the disk',
        failed: 'it was not made: ALREADY_EXISTS, INVALID_ID, LOCK_TIMEOUT or IO_ERROR',
      }),
    )
    .action((id: string, options: FieldOptions) =>
      cli.withStore(command, async store => {
        const state = await showingHolder(cli, store, id, () => store.create(id, givenFields(options)))
        await printMade(cli, { id, state, words: `created, ${state.state}` }, options.format)
      }),
    )
