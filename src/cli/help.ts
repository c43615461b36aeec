import { type Command, Help } from 'commander'

/** How many columns a help takes. */
export const WIDTH = 80

/** What a command's help says beside its arguments and options. */
export interface HelpText {
  readonly description: string
  /** What is worth knowing, in lines of 80 characters at most. */
  readonly notes?: string
  /** Command lines without `sandbox-state`, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** What exit status 0 means. */
  readonly done: string
  /** What exit status 1 means. */
  readonly failed: string
  /** What other exit statuses mean. */
  readonly others?: readonly (readonly [status: string, meaning: string])[]
}

/** For a command that may wait for ever. */
export const INTERRUPTED = ['130', 'interrupted with Ctrl-C'] as const

/** Gives a command its help: arguments and options in the middle, the notes, examples and exit statuses after them. */
export function describe(command: Command, { description, notes, ...text }: HelpText): Command {
  const { examples, done, failed, others = [] } = text
  const sections = [
    ...(notes === undefined ? [] : [notes]),
    `Examples:\n${columns(examples.map(([line, meaning]) => [`sandbox-state ${line}`, meaning]))}`,
    `Exit status:\n${columns([['0', done], ['1', failed], ['2', 'the command line is wrong'], ...others])}`,
  ]
  return command.description(description).addHelpText('after', `\n${sections.join('\n\n')}`)
}

/**
 * The same for a command that changes a sandbox.
 * @param text `failed` is why nothing was changed
 * @param json what it prints with `--format json`
 */
export function describeChange(command: Command, text: HelpText, json = 'the new state'): Command {
  const printed = `On a terminal it says in one line what it did. With --format json it prints\n${json}.`
  return describe(command, {
    ...text,
    notes: text.notes === undefined ? printed : `${text.notes}\n\n${printed}`,
    failed: `${text.failed}; or it was done, but a power cut may undo it (OUTCOME_UNKNOWN)`,
  })
}

const LAYOUT = Object.assign(new Help(), { helpWidth: WIDTH, minWidthToWrap: 1 })

function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => LAYOUT.formatItem(left, width, right, LAYOUT)).join('\n')
}
