import { Argument } from 'commander'
import { ownError, StateStoreError } from '../../errors.js'
import { collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { ROWS_FORMAT } from '../options.js'
import { ago, holderWords } from '../words.js'

export const command: CommandSpec = {
  description: 'Print which sandboxes are locked now, by whom and since when. Each change takes both locks.',
  notes: `Locks:
  flock            flock(2) on ROOT/ID/lock: ours, Kata's, or flock(1)'s
  proper-lockfile  ROOT/ID/state.json.lock of another program; when it was last
                   refreshed is all that is known of it

A sandbox whose folder cannot be read is left out: see "list".

Formats:
  table  one line per lock, in columns; nothing if there are none
  json   one array of {id, lock, pid, otherPidNamespace, host, command, since},
         as far as is known`,
  examples: [
    ['locks', 'all that are held'],
    ["locks a --format json | jq '.[].pid'", 'who holds a'],
  ],
  done: 'printed, also when no lock is held',
  failed: 'NOT_FOUND, INVALID_ID, or the root cannot be read (IO_ERROR)',
  takes: [new Argument('[id]', "only this sandbox's"), ROWS_FORMAT],
  run: (cli, { format }, id?: string) =>
    cli.withStore(async store => {
      const locks = await collect(store.locks(id === undefined ? {} : { id }))
      const read = id !== undefined && locks.length === 0 && (await store.read(id).catch(ownError))
      // Nobody holds a sandbox that does not exist, but then its name is perhaps mistyped.
      if (read instanceof StateStoreError && read.code === 'NOT_FOUND') throw read
      const now = Date.now()
      const rows = locks.map(({ id, holder }) => ({ id, ...holder }))
      await cli.printRows(format, rows, ['ID', 'LOCK', 'SINCE', 'BY'], ({ id, ...holder }) => {
        const { lock, since } = holder
        return [id, lock, since === undefined ? '-' : ago(since, now), holderWords(holder)]
      })
      if (format === 'table' && locks.length === 0)
        await cli.remark(`nobody holds ${id ?? `a sandbox in ${cli.rootWords}`}`)
    }),
}
