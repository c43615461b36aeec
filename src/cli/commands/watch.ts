import { StateStoreError } from '../../errors.js'
import type { StateEvent } from '../../watch.js'
import type { Define } from '../commands.js'
import { UsageError } from '../errors.js'
import { describe, INTERRUPTED } from '../help.js'
import { errorJson, stateJson } from '../json.js'
import { idArgument, type RowsFormat, rowsFormatOption } from '../options.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description: 'Follow the sandboxes, no matter who changes them. Takes no lock and creates no file.',
    notes: `Formats:
  table  on a terminal, unless TERM is dumb: each sandbox with its state, how
         long it has been in it, who holds it now and who changed it last.
         Those that do not fit are counted.
  json   a line for each event: first one {type: "created", id, state} for each
         sandbox that is there, then what happens: created, changed (with
         previous), deleted (with previous), error (with {code, message}). A
         state that was left at once may be missing, the last one never.`,
    examples: [
      ['watch', 'see all of them live'],
      ["watch a --format json | jq -r '.state.state'", "one's states, as they come"],
    ],
    done: 'never: it ends when it is interrupted',
    failed: 'INVALID_ID, or the root cannot be read (IO_ERROR)',
    others: [INTERRUPTED],
  })
    .addArgument(idArgument('[id]', 'only this one, which need not exist yet'))
    .addOption(rowsFormatOption('table on a terminal, else json').default(undefined))
    .action((id: string | undefined, options: { readonly format?: RowsFormat }) => {
      const format = options.format ?? (cli.canDraw ? 'table' : 'json')
      if (format === 'table' && !cli.canDraw)
        throw new UsageError('a table that changes needs a terminal; elsewhere take --format json')
      return cli.withStore(command, async store => {
        if (format === 'table') {
          const { live } = await import('../live/live.js')
          return live(store, cli, () => cli.rootWords(command), id)
        }
        for await (const event of store.watch(id === undefined ? {} : { id })) {
          await cli.out.write(`${eventJson(event)}\n`)
          await cli.out.flush()
        }
      })
    })

function eventJson(event: StateEvent): string {
  const { type, id } = event
  const previous = 'previous' in event ? event.previous : undefined
  try {
    const parts = [`"type":${JSON.stringify(type)}`, `"id":${JSON.stringify(id)}`]
    if (event.type === 'error') parts.push(`"error":${errorJson(event.error)}`)
    if ('state' in event) parts.push(`"state":${stateJson(event.state)}`)
    if (previous !== undefined) parts.push(`"previous":${stateJson(previous)}`)
    return `{${parts.join(',')}}`
  } catch (error) {
    // A state that could be read may be too long with its characters escaped.
    if (error instanceof StateStoreError) return eventJson({ type: 'error', id, error })
    throw error
  }
}
