import type { SandboxState } from '../../state/sandbox-state.js'
import { difference, printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { UsageError } from '../errors.js'
import { changeHelpTail } from '../help.js'
import { addFieldOptions, changeFormatOption, type FieldOptions, givenFields } from '../options.js'

export const define: Define = (command, cli) =>
  addFieldOptions(command)
    .option('--no-hotplug-probe', "the guest's kernel cannot probe it")
    .description(
      "Change a sandbox's fields; one that is not given stays as it is. For its state, see transition.",
    )
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      changeHelpTail({
        examples: [
          ['update a --block-index 2', 'change one field'],
          ["update a --cgroup-path '' --no-hotplug-probe", 'clear two fields'],
        ],
        done: 'the sandbox is changed, and on the disk',
        failed: 'it is not: NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT, IO_ERROR,',
      }),
    )
    .action(async (id: string, options: FieldOptions) => {
      const fields = givenFields(options)
      if (Object.keys(fields).length === 0) throw new UsageError('no field is given, such as --block-index 2')
      await cli.withStore(command, async store => {
        let words = ''
        const state = await store.update(id, before => {
          const after: SandboxState = { ...before, ...fields }
          words = difference(before, after)
          return after
        })
        await printMade(cli, { id, state, words }, options.format)
      })
    })
