import { Argument } from 'commander'
import { isEtcdRoot } from '../../root.js'
import type { CommandSpec } from '../command.js'
import { COPY_OPTIONS, copyAndReport, copyHelp } from '../copying.js'
import { UsageError } from '../errors.js'
import { assertThere, isWithin } from '../root.js'

export const command: CommandSpec = {
  description: 'Copy all sandboxes from one root to another, in their present states.',
  ...copyHelp('copied'),
  examples: [
    ['copy /run/vc/sbs /var/backup/sbs --dry-run', 'what it would do'],
    ['copy /run/vc/sbs /var/backup/sbs', 'to another folder'],
    ['copy /run/vc/sbs etcd://127.0.0.1:2379/sbs', 'to etcd'],
  ],
  takes: [
    new Argument('<from>', 'a folder, or etcd://HOST:PORT/PREFIX'),
    new Argument('<to>', 'the same; made if it is a folder that is missing'),
    ...COPY_OPTIONS,
  ],
  run(cli, options, from, to) {
    if (isWithin(to, from))
      throw new UsageError(`${to} is the source itself or inside it: copy to another place`)
    if (isWithin(from, to)) throw new UsageError(`the source is inside ${to}: copy to another place`)
    return cli.withStore(async source => {
      if (!isEtcdRoot(from)) assertThere(from)
      await cli.withStore(target => copyAndReport(cli, source, target, options, 'copied'), to)
    }, from)
  },
}
