import { Argument } from 'commander'
import { type CommandSpec, INTERRUPTED } from '../command.js'
import { UsageError } from '../errors.js'
import { objectJson } from '../json.js'
import { formatOption } from '../options.js'

export const command: CommandSpec = {
  description: 'Follow the sandboxes, no matter who changes them. Takes no lock and creates no file.',
  notes: `Formats:
  table  on a terminal, unless TERM is dumb: each sandbox with its state, how
         long it has been in it, who owns it (or "orphaned", when the owner
         died), who holds its lock, who changed it last, and why. Those that
         do not fit are counted.
  json   a line for each event: first one {type: "created", id, state} for each
         sandbox that is there, then what happens: created, changed (with
         previous), deleted (with previous), error (with {code, message}). A
         state that lasts only a moment may be missing, but never the last one.`,
  examples: [
    ['watch', 'see all of them live'],
    ["watch a --format json | jq -r '.state.state'", "one's states, as they come"],
  ],
  done: 'nobody reads its output any more; else it ends when it is interrupted',
  failed: 'INVALID_ID, or the root cannot be read (IO_ERROR)',
  others: [INTERRUPTED],
  takes: [
    new Argument('[id]', 'only this one, which need not exist yet'),
    formatOption('table on a terminal, else json', ['table', 'json']).default(undefined),
  ],
  run(cli, { format = cli.canDraw ? 'table' : 'json' }, id?: string) {
    if (format === 'table' && !cli.canDraw)
      throw new UsageError('a table that changes needs a terminal; elsewhere take --format json')
    return cli.withStore(async store => {
      if (format === 'table') return (await import('../live/live.js')).live(store, cli, id)
      const end = new AbortController()
      const { onReaderGone } = await import('../reader.js')
      using _ = onReaderGone(cli.out.fd, () => end.abort())
      const { signal } = end
      for await (const event of store.watch({ signal, ...(id !== undefined && { id }) })) {
        await cli.out.write(`${objectJson(event)}\n`)
        await cli.out.flush()
      }
    })
  },
}
