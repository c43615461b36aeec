import { printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { changeHelpTail } from '../help.js'
import { showingHolder } from '../holder.js'
import { type ChangeFormat, changeFormatOption, idArgument } from '../options.js'

interface Options {
  readonly force?: boolean
  readonly format: ChangeFormat
}

export const define: Define = (command, cli) =>
  command
    .description('Delete a sandbox that is not running. What other programs keep in its folder stays.')
    .addArgument(idArgument())
    .option('--force', 'delete it even if it is running, or if its state cannot be read')
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      changeHelpTail(
        {
          examples: [
            ['delete a', 'delete it, unless it is running'],
            ['delete a --force', 'delete it, whatever its state'],
          ],
          done: 'the sandbox is deleted',
          failed:
            'it was not deleted: INVALID_TRANSITION (it is running), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
        },
        'null',
      ),
    )
    .action((id: string, { force = false, format }: Options) =>
      cli.withStore(command, async store => {
        await showingHolder(cli, store, id, () => store.delete(id, { force }))
        await printMade(cli, { id, state: null, words: 'deleted' }, format)
      }),
    )
