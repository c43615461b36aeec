import { changeSandbox } from '../change.js'
import type { Define } from '../commands.js'
import { describeChange } from '../help.js'
import { type ChangeFormat, changeFormatOption, idArgument } from '../options.js'

const HELP = {
  description: 'Delete a sandbox that is not running. What other programs keep in its folder stays.',
  examples: [
    ['delete a', 'delete it, unless it is running'],
    ['delete a --force', 'delete it, whatever its state'],
  ],
  done: 'the sandbox is deleted',
  failed:
    'it was not deleted: INVALID_TRANSITION (it is running), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
} as const

export const define: Define = (command, cli) =>
  describeChange(command, HELP, 'null')
    .addArgument(idArgument())
    .option('--force', 'delete it even if it is running, or if its state cannot be read')
    .addOption(changeFormatOption())
    .action(
      (id: string, { force = false, format }: { readonly force?: boolean; readonly format: ChangeFormat }) =>
        changeSandbox(cli, command, id, format, async store => {
          await store.delete(id, { force })
          return { state: null, words: 'deleted' }
        }),
    )
