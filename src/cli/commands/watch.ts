import { StateStoreError } from '../../errors.js'
import type { StateEvent } from '../../watch.js'
import type { Define } from '../commands.js'
import { UsageError } from '../errors.js'
import { helpTail, INTERRUPTED } from '../help.js'
import { errorJson, stateJson } from '../json.js'
import { formatOptionOf, optionalIdArgument } from '../options.js'

interface Options {
  readonly format?: 'table' | 'json'
}

export const define: Define = (command, cli) =>
  command
    .description('Follow the sandboxes, whoever changes them. Takes no lock and makes no file.')
    .addArgument(optionalIdArgument('only this one, which need not exist yet'))
    .addOption(formatOptionOf('table on a terminal, else json', ['table', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Formats:
  table  on a terminal, unless TERM is dumb: each sandbox with its state, how
         long it has had it, who changed it last and who holds it now. q or
         Ctrl-C leaves. Those that do not fit are counted.
  json   a line for each event: first one {type: "created", id, state} for each
         sandbox that is there, then what happens: created, changed (with
         previous), deleted (with previous), error (with {code, message}). A
         state that was soon overtaken may be missing, the last one never.`,
        examples: [
          ['watch', 'see all of them live'],
          ["watch a --format json | jq -r '.state.state'", "one's states, as they come"],
        ],
        done: 'q was pressed',
        failed: 'INVALID_ID, or the root cannot be read (IO_ERROR)',
        others: [INTERRUPTED],
      }),
    )
    .action((id: string | undefined, { format = cli.canDraw ? 'table' : 'json' }: Options) => {
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
