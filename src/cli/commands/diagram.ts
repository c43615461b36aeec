import type { Command } from 'commander'
import { STATES, type StateString } from '../../state/machine.js'
import type { Cli } from '../cli.js'
import { paintState } from '../colors.js'
import type { Define } from '../commands.js'
import { asciiDiagram } from '../diagram/ascii.js'
import type { Counts } from '../diagram/machine.js'
import { mermaidDiagram } from '../diagram/mermaid.js'
import { svgDiagram } from '../diagram/svg.js'
import { EXIT, failureLine } from '../errors.js'
import { helpTail } from '../help.js'
import { formatOption, type GlobalOptions } from '../options.js'

interface Options {
  readonly format: 'ascii' | 'mermaid' | 'svg'
}

export const define: Define = (command, cli) =>
  command
    .description('Draw the state machine, and with --root how many sandboxes stand in each state.')
    .addOption(formatOption('how to draw it', ['ascii', 'mermaid', 'svg']))
    .addHelpText(
      'after',
      helpTail({
        notes: `In ascii a state leaves by its first line, which meets (+) the lane of each
state that may follow, and is entered by the second, where its own lane ends
(<). The sandboxes of $SANDBOX_STATE_ROOT are not counted, only --root's.`,
        examples: [
          ['diagram', 'the state machine'],
          ['diagram --root /run/vc/sbs', 'with how many sandboxes are in each state'],
          ['diagram --format svg > states.svg', 'as a picture'],
        ],
        done: 'drawn',
        failed: 'a sandbox of --root cannot be read and is not counted, or the root cannot (IO_ERROR)',
      }),
    )
    .action(async ({ format }: Options) => {
      const { root } = command.optsWithGlobals<GlobalOptions>()
      const counts = root === undefined ? undefined : await countStates(command, cli)
      const paint = (state: StateString) => cli.colors && paintState(state)
      const draw = { ascii: () => asciiDiagram(counts, paint), mermaid: mermaidDiagram, svg: svgDiagram }
      await cli.printLines(draw[format](counts))
    })

function countStates(command: Command, cli: Cli): Promise<Counts> {
  return cli.withStore(command, async store => {
    using progress = cli.progress('sandboxes read')
    const counts = new Map<StateString, number>(STATES.map(state => [state, 0]))
    let read = 0
    for await (const entry of store.list()) {
      read += 1
      progress.at(read)
      if ('error' in entry) {
        cli.status = EXIT.failed
        await cli.err.write(failureLine(entry.error))
      } else {
        const { state } = entry.state
        counts.set(state, (counts.get(state) ?? 0) + 1)
      }
    }
    return counts
  })
}
