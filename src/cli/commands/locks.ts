import { StateStoreError } from '../../errors.js'
import type { SandboxStore } from '../../store.js'
import { collect } from '../cli.js'
import type { Define } from '../commands.js'
import { describe } from '../help.js'
import { idArgument, type RowsFormat, rowsFormatOption } from '../options.js'
import { ago, holderWords } from '../words.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description:
      'Print which sandboxes are locked now, by whom and since when. Each change takes both locks.',
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
  })
    .addArgument(idArgument('[id]', "only this sandbox's"))
    .addOption(rowsFormatOption())
    .action((id: string | undefined, { format }: { readonly format: RowsFormat }) =>
      cli.withStore(command, async store => {
        const locks = await collect(store.locks(id === undefined ? {} : { id }))
        if (id !== undefined && locks.length === 0) await assertThere(store, id)
        const now = Date.now()
        const rows = locks.map(({ id, holder }) => ({ id, ...holder }))
        await cli.printRows(format, rows, ['ID', 'LOCK', 'SINCE', 'BY'], ({ id, ...holder }) => {
          const { lock, since } = holder
          return [id, lock, since === undefined ? '-' : ago(since, now), holderWords(holder)]
        })
        if (format === 'table' && locks.length === 0)
          await cli.remark(`nobody holds ${id ?? `a sandbox in ${cli.rootWords(command)}`}`)
      }),
    )

/** Nobody holds a sandbox that does not exist, but then its name is perhaps mistyped. */
async function assertThere(store: SandboxStore, id: string): Promise<void> {
  try {
    await store.read(id)
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'NOT_FOUND') throw error
  }
}
