// Prints the man page of the command, made from the definitions that its help is made from. `npm run build` runs it.
import { Cli } from '../dist/cli/cli.js'
import { examplesOf, statusesOf } from '../dist/cli/command.js'
import { COMMANDS, defineCommand } from '../dist/cli/commands.js'
import { HELP } from '../dist/cli/program.js'

const silent = { write: (_text, done) => done(), on: () => {} }
/** Nothing is printed through it. */
const cli = new Cli({ stdout: silent, stderr: silent, env: {} })
const { program } = cli
const help = program.createHelp()

/** Text that roff prints as it is. */
function roff(text) {
  const escapes = {
    '\\': '\\(rs',
    '-': '\\-',
    '^': '\\(ha',
    '~': '\\(ti',
    '`': '\\(ga',
    "'": '\\(aq',
    '"': '\\(dq',
  }
  return text.replaceAll(/[\\\-^~`'"]/g, character => escapes[character]).replaceAll(/^(?=\.)/gm, '\\&')
}

const paragraph = text => `.PP\n${roff(text)}`
/** A list of lines without meanings; what is wider than a page is text. */
const lines = text => (/.{73}/.test(text) ? paragraph(text) : `.PP\n.nf\n${roff(text)}\n.fi`)
const item = (term, meaning) => `.TP\n.B ${roff(term)}\n${roff(meaning)}`
const items = (heading, rows) => [
  paragraph(`${heading}:`),
  ...rows.map(([term, meaning]) => item(term, meaning)),
]

/** Notes are paragraphs, and lists of lines `  term  meaning`, which may go on further to the right. */
function notes(text = '') {
  return (text.match(/(^(?! ).+\n?)+|(^ .+\n?)+/gm) ?? []).flatMap(block => {
    if (!block.startsWith(' ')) return paragraph(block.trimEnd())
    const joined = block.trimEnd().replaceAll(/\n {3,}/g, ' ')
    const rows = joined.split('\n').map(line => /^ {2}(\S.*?) {2,}(\S.*)$/.exec(line)?.slice(1))
    return rows.includes(undefined)
      ? lines(block.replaceAll(/^ {2}/gm, '').trimEnd())
      : rows.map(([term, meaning]) => item(term, meaning))
  })
}

async function commandSection({ name, load }) {
  const command = program.commands.find(each => each.name() === name)
  await defineCommand(command, cli)
  const { command: spec } = await load()
  const given = [
    ...help.visibleArguments(command).map(each => [help.argumentTerm(each), help.argumentDescription(each)]),
    ...help.visibleOptions(command).map(each => [help.optionTerm(each), help.optionDescription(each)]),
  ].filter(([term]) => term !== '-h, --help')
  return [
    `.SS ${roff(help.commandUsage(command))}`,
    roff(spec.description),
    ...given.map(([term, meaning]) => item(term, meaning)),
    ...notes(spec.notes),
    ...items('Examples', examplesOf(spec)),
    ...items('Exit status', statusesOf(spec)),
  ]
}

const page = [
  `.TH SANDBOX\\-STATE 1 "" "sandbox\\-state ${roff(program.version())}" "User Commands"`,
  '.SH NAME',
  'sandbox\\-state \\- keep the state of sandboxes, durably and under locks',
  '.SH SYNOPSIS',
  `.B sandbox\\-state\n${roff(program.usage())}`,
  '.SH DESCRIPTION',
  roff(HELP.description),
  ...notes(HELP.notes),
  '.SH OPTIONS',
  ...help.visibleOptions(program).map(each => item(help.optionTerm(each), help.optionDescription(each))),
  '.SH COMMANDS',
  ...(await Promise.all(COMMANDS.map(commandSection))).flat(),
  '.SH EXIT STATUS',
  ...statusesOf(HELP).map(([status, meaning]) => item(status, meaning)),
  '.SH EXAMPLES',
  ...examplesOf(HELP).map(([line, meaning]) => item(line, meaning)),
  '.SH SEE ALSO',
  '.BR flock (1),\n.BR flock (2)',
]
process.stdout.write(`${page.join('\n')}\n`)
