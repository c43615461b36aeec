import { statePage } from '../changed.js'
import type { Define } from '../commands.js'
import { helpTail } from '../help.js'
import { formatOption, idArgument } from '../options.js'

export const define: Define = (command, cli) =>
  command
    .description("Print one sandbox's state as JSON. Takes no lock and makes no file.")
    .addArgument(idArgument())
    .addOption(formatOption('what to print', ['json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `The fields come first, then any keys of the file that this version does not
know. Control characters are escaped.`,
        examples: [
          ['state a', 'the whole state'],
          ['state a | jq -r .state', 'just ready, running, paused or stopped'],
        ],
        done: 'printed',
        failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE, INVALID_STATE or IO_ERROR',
      }),
    )
    .action((id: string) =>
      cli.withStore(command, async store => {
        await cli.out.write(statePage(await store.read(id)))
      }),
    )
