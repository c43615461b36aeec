import type { SandboxState } from '../../state/sandbox-state.js'
import { difference, printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { UsageError } from '../errors.js'
import { changeHelpTail } from '../help.js'
import { showingHolder } from '../holder.js'
import { addFieldOptions, changeFormatOption, type FieldOptions, givenFields } from '../options.js'

export const define: Define = (command, cli) => {
  const given = new Set<string>()
  for (const name of ['hotplug-probe', 'no-hotplug-probe'])
    command.on(`option:${name}`, () => given.add(name))
  return addFieldOptions(command)
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
        failed:
          'it was not changed: NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
      }),
    )
    .action(async (id: string, options: FieldOptions) => {
      if (given.size > 1) throw new UsageError('--hotplug-probe and --no-hotplug-probe contradict each other')
      const fields = givenFields(options)
      if (Object.keys(fields).length === 0) throw new UsageError('no field is given, such as --block-index 2')
      await cli.withStore(command, async store => {
        let words = ''
        const change = (before: SandboxState) => {
          const after = { ...before, ...fields }
          words = difference(before, after)
          return after
        }
        const state = await showingHolder(cli, store, id, () => store.update(id, change))
        await printMade(cli, { id, state, words }, options.format)
      })
    })
}
