import { copyStore } from '../../copy.js'
import type { Cli } from '../cli.js'
import type { Define } from '../commands.js'
import { EXIT, failureLine } from '../errors.js'
import { helpTail } from '../help.js'
import { type ChangeFormat, changeFormatOption } from '../options.js'
import { counted } from '../words.js'

interface Options {
  readonly format: ChangeFormat
}

export const define: Define = (command, cli) =>
  command
    .description('Copy all sandboxes from one root to another, in the states that they are in.')
    .argument('<from>', 'a folder, or etcd://HOST:PORT/PREFIX')
    .argument('<to>', 'the same; made if it is a folder that is missing')
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      helpTail({
        notes: `Nothing is overwritten: when a sandbox of the target has the id of one of the
source's and another state, nothing is copied at all. Histories begin anew. A
copy that was interrupted may be started again. Stop what changes the source.

Says in one line what it did, on a terminal only. With --format json it prints
{copied, same, failed}, with the ids and errors of those that failed.`,
        examples: [
          ['copy /run/vc/sbs /var/backup/sbs', 'to another folder'],
          ['copy /run/vc/sbs etcd://127.0.0.1:2379/sbs', 'to etcd'],
        ],
        done: 'all of them are there',
        failed: 'ALREADY_EXISTS (nothing is copied), IO_ERROR, or some could not be read: stderr names them',
      }),
    )
    .action((from: string, to: string, { format }: Options) =>
      cli.withStoreAt(from, command, source =>
        cli.withStoreAt(to, command, async target => {
          const result = await copyWithProgress(cli, onProgress => copyStore(source, target, { onProgress }))
          if (result.failed.length > 0) cli.status = EXIT.failed
          for (const { error } of result.failed) await cli.err.write(failureLine(error))
          if (format === 'json') await cli.out.write(`${JSON.stringify(printable(result))}\n`)
          else
            await cli.tellPerson(
              `${counted(result.copied, 'sandbox', 'sandboxes')} copied, ${result.same} there already`,
            )
        }),
      ),
    )

type Copied = Awaited<ReturnType<typeof copyStore>>

async function copyWithProgress(
  cli: Cli,
  copy: (onProgress: (progress: { done: number }) => void) => Promise<Copied>,
): Promise<Copied> {
  using progress = cli.progress('sandboxes copied')
  return await copy(({ done }) => progress.at(done))
}

function printable({ copied, same, failed }: Copied) {
  return {
    copied,
    same,
    failed: failed.map(({ id, error: { code, message } }) => ({ id, error: { code, message } })),
  }
}
