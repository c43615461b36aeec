import { Help } from 'commander'

/** The end of a command's help: what is worth knowing, how it is used, and what its exit status means. */
export interface HelpTail {
  /** Lines of 80 characters at most. */
  readonly notes?: string
  /** Command lines without `sandbox-state`, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** What exit status 0 means. */
  readonly done: string
  /** What exit status 1 means. */
  readonly failed: string
  /** What others mean. */
  readonly others?: readonly (readonly [status: string, meaning: string])[]
}

/** For a command that may wait for ever. */
export const INTERRUPTED = ['130', 'interrupted with Ctrl-C'] as const

export function helpTail({ notes, examples, done, failed, others = [] }: HelpTail): string {
  const sections = [
    `Examples:\n${columns(examples.map(([command, meaning]) => [`sandbox-state ${command}`, meaning]))}`,
    `Exit status:\n${columns([['0', done], ['1', failed], ['2', 'the command line is wrong'], ...others])}`,
  ]
  if (notes !== undefined) sections.unshift(notes)
  return `\n${sections.join('\n\n')}`
}

const UNCERTAIN = 'or it was done, but a power cut may undo it (OUTCOME_UNKNOWN)'

/**
 * As {@link helpTail}, for a command that changes a sandbox.
 * @param tail `failed` is why nothing was changed
 * @param json what it prints with `--format json`
 */
export function changeHelpTail(
  { notes, failed, ...rest }: HelpTail,
  json: 'the new state' | 'null' = 'the new state',
): string {
  const printed = `On a terminal it says in one line what it did. With --format json it prints\n${json}.`
  return helpTail({
    ...rest,
    notes: notes === undefined ? printed : `${notes}\n\n${printed}`,
    failed: `${failed}; ${UNCERTAIN}`,
  })
}

const layout = Object.assign(new Help(), { helpWidth: 80, minWidthToWrap: 1 })

function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => layout.formatItem(left, width, right, layout)).join('\n')
}

/** A help, of 80 columns, on a narrower screen: its lines are broken between words, and go on below their own text. */
export function narrowed(help: string, columns: number): string {
  return help
    .split('\n')
    .flatMap(line => (line.length <= columns ? line : brokenLines(line, columns)))
    .join('\n')
}

function brokenLines(line: string, columns: number): string[] {
  const [name = ''] = /^ +\S.*? {2,}(?=\S)/.exec(line) ?? []
  const [space = ''] = /^ */.exec(line) ?? []
  const begin = name !== '' && name.length <= columns / 2 ? name : space
  const indent = ' '.repeat(begin.length)
  const lines: string[] = []
  let current = begin
  for (const word of line.slice(begin.length).split(/(?<=\S)(?= )/)) {
    if (current.length > indent.length && current.length + word.length > columns) {
      lines.push(current)
      current = indent + word.trimStart()
    } else current += word
  }
  return [...lines, current]
}
