import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ioError } from '../../errno.js'
import { isEtcdRoot } from '../../root.js'
import type { Define } from '../commands.js'
import { type CopyCommandOptions, copyAndTell, copyNote } from '../copying.js'
import { UsageError } from '../errors.js'
import { helpTail } from '../help.js'
import { changeFormatOption, dryRunOption } from '../options.js'
import { isWithin } from '../root.js'

export const define: Define = (command, cli) =>
  command
    .description('Copy all sandboxes from one root to another, in the states that they are in.')
    .argument('<from>', 'a folder, or etcd://HOST:PORT/PREFIX')
    .argument('<to>', 'the same; made if it is a folder that is missing')
    .addOption(dryRunOption())
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      helpTail({
        notes: `Nothing is overwritten: when a sandbox of the target has the id of one of the
source's and another state, nothing is copied at all. Histories begin anew. A
copy that was interrupted may be started again. First stop what changes the
source.

${copyNote('copied')}`,
        examples: [
          ['copy /run/vc/sbs /var/backup/sbs --dry-run', 'what it would do'],
          ['copy /run/vc/sbs /var/backup/sbs', 'to another folder'],
          ['copy /run/vc/sbs etcd://127.0.0.1:2379/sbs', 'to etcd'],
        ],
        done: 'all of them are there (with --dry-run: would be)',
        failed: 'ALREADY_EXISTS (nothing is copied), IO_ERROR, or some could not be read: stderr names them',
      }),
    )
    .action((from: string, to: string, options: CopyCommandOptions) => {
      if (isWithin(to, from)) throw new UsageError(`${to} is ${from} itself, or in it: copy to another place`)
      if (isWithin(from, to)) throw new UsageError(`${from} is in ${to}: copy to another place`)
      return cli.withStoreAt(from, command, source => {
        assertThere(from)
        return cli.withStoreAt(to, command, target =>
          copyAndTell(cli, source, target, { ...options, done: 'copied' }),
        )
      })
    })

/** A root that is missing is an empty one; as the source of a copy it is a mistake. */
function assertThere(root: string): void {
  if (isEtcdRoot(root)) return
  const path = resolve(root)
  try {
    statSync(path)
  } catch (error) {
    throw ioError(error, 'read', undefined, path)
  }
}
