import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ioError } from '../../errno.js'
import { isEtcdRoot } from '../../root.js'
import type { SandboxStore } from '../../store.js'
import type { Define } from '../commands.js'
import { type CopyCommandOptions, copyAndReport, copyHelp } from '../copying.js'
import { UsageError } from '../errors.js'
import { describe } from '../help.js'
import { changeFormatOption, dryRunOption } from '../options.js'
import { isWithin } from '../root.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description: 'Copy all sandboxes from one root to another, in their present states.',
    ...copyHelp('copied'),
    examples: [
      ['copy /run/vc/sbs /var/backup/sbs --dry-run', 'what it would do'],
      ['copy /run/vc/sbs /var/backup/sbs', 'to another folder'],
      ['copy /run/vc/sbs etcd://127.0.0.1:2379/sbs', 'to etcd'],
    ],
  })
    .argument('<from>', 'a folder, or etcd://HOST:PORT/PREFIX')
    .argument('<to>', 'the same; made if it is a folder that is missing')
    .addOption(dryRunOption())
    .addOption(changeFormatOption())
    .action((from: string, to: string, options: CopyCommandOptions) => {
      if (isWithin(to, from)) throw new UsageError(`${to} is ${from} itself, or in it: copy to another place`)
      if (isWithin(from, to)) throw new UsageError(`${from} is in ${to}: copy to another place`)
      const copyFrom = (source: SandboxStore) => {
        assertThere(from)
        return cli.withStore(command, target => copyAndReport(cli, source, target, options, 'copied'), to)
      }
      return cli.withStore(command, copyFrom, from)
    })

/** A missing root counts as empty, but as the source of a copy it is a mistake. */
function assertThere(root: string): void {
  if (isEtcdRoot(root)) return
  const path = resolve(root)
  try {
    statSync(path)
  } catch (error) {
    throw ioError(error, 'read', undefined, path)
  }
}
