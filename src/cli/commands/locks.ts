import type { HeldLock } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { SandboxStore } from '../../store.js'
import type { Define } from '../commands.js'
import { helpTail } from '../help.js'
import { holderWords } from '../holder.js'
import { jsonRows } from '../json.js'
import { formatOption, optionalIdArgument } from '../options.js'
import { headedLines, type Row } from '../table.js'
import { ago } from '../times.js'

interface Options {
  readonly format: 'table' | 'json'
}

export const define: Define = (command, cli) =>
  command
    .description('Print who holds which sandbox now, and since when: each change takes both of its locks.')
    .addArgument(optionalIdArgument("only this sandbox's"))
    .addOption(formatOption('how to print them', ['table', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Locks:
  flock            flock(2) on ROOT/ID/lock: ours, Kata's, or flock(1)'s
  proper-lockfile  ROOT/ID/state.json.lock of another program; when it was last
                   refreshed is all that is known of it

Formats:
  table  a line for each, in columns; without any lock no line at all
  json   one array of {id, lock, pid, host, command, since}, as far as is known`,
        examples: [
          ['locks', 'all that are held'],
          ["locks a --format json | jq '.[].pid'", 'who holds a'],
        ],
        done: 'printed, also when no lock is held',
        failed: 'NOT_FOUND, INVALID_ID, or the root cannot be read (IO_ERROR)',
      }),
    )
    .action((id: string | undefined, { format }: Options) =>
      cli.withStore(command, async store => {
        const locks: HeldLock[] = []
        for await (const lock of store.locks(id === undefined ? {} : { id })) locks.push(lock)
        if (id !== undefined && locks.length === 0) await assertThere(store, id)
        if (format === 'json')
          return cli.out.write(jsonRows(locks.map(({ id, holder }) => ({ id, ...holder }))))
        const now = Date.now()
        await cli.printLines(
          headedLines(
            HEADINGS,
            locks.map(lock => row(lock, now)),
          ),
        )
        if (locks.length === 0)
          await cli.tellPerson(`nobody holds ${id ?? `a sandbox in ${cli.rootWords(command)}`}`)
      }),
    )

/** Nobody holds what does not exist, but then its name is perhaps mistyped. */
async function assertThere(store: SandboxStore, id: string): Promise<void> {
  try {
    await store.read(id)
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'NOT_FOUND') throw error
  }
}

const HEADINGS = ['ID', 'LOCK', 'SINCE', 'BY']

function row({ id, holder }: HeldLock, now: number): Row {
  const { lock, since } = holder
  return [
    { text: id },
    { text: lock },
    { text: since === undefined ? '-' : ago(since, now) },
    { text: holderWords(holder) },
  ]
}
