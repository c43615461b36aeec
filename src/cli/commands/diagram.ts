import type { Define } from '../commands.js'
import { asciiDiagram, mermaidDiagram, svgDiagram } from '../diagram.js'
import { describe } from '../help.js'
import { formatOption } from '../options.js'

const DRAWINGS = { ascii: asciiDiagram, mermaid: mermaidDiagram, svg: svgDiagram } as const

export const define: Define = (command, cli) =>
  describe(command, {
    description: 'Draw the state machine.',
    notes: `In ascii a state leaves by its first line, which meets (+) the lane of each
state that may follow, and is entered by the second, where its own lane ends
(<).`,
    examples: [
      ['diagram', 'the state machine'],
      ['diagram --format svg > states.svg', 'as a picture'],
    ],
    done: 'drawn',
    failed: 'the output could not be written',
  })
    .addOption(formatOption('how to draw it', Object.keys(DRAWINGS)))
    .action(({ format }: { readonly format: keyof typeof DRAWINGS }) => cli.printLines(DRAWINGS[format]()))
