import type { CommandSpec } from '../command.js'
import { statePage } from '../json.js'
import { formatOption, ID } from '../options.js'

export const command: CommandSpec = {
  description: "Print one sandbox's state as JSON. Takes no lock and creates no file.",
  notes: `The fields come first, then any keys of the file that this version does not
know. Control characters are escaped.`,
  examples: [
    ['state a', 'the whole state'],
    ['state a | jq -r .state', 'just ready, running, paused or stopped'],
  ],
  done: 'printed',
  failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE, INVALID_STATE or IO_ERROR',
  takes: [ID, formatOption('what to print', ['json'])],
  run: (cli, _options, id) => cli.withStore(async store => cli.out.write(statePage(await store.read(id)))),
}
