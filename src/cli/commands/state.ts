import type { Define } from '../commands.js'
import { describe } from '../help.js'
import { statePage } from '../json.js'
import { formatOption, idArgument } from '../options.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description: "Print one sandbox's state as JSON. Takes no lock and creates no file.",
    notes: `The fields come first, then any keys of the file that this version does not
know. Control characters are escaped.`,
    examples: [
      ['state a', 'the whole state'],
      ['state a | jq -r .state', 'just ready, running, paused or stopped'],
    ],
    done: 'printed',
    failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE, INVALID_STATE or IO_ERROR',
  })
    .addArgument(idArgument())
    .addOption(formatOption('what to print', ['json']))
    .action((id: string) =>
      cli.withStore(command, async store => cli.out.write(statePage(await store.read(id)))),
    )
