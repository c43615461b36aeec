import { CommanderError } from 'commander'
import { Cli, type Io } from './cli.js'
import { EXIT, failureOf } from './errors.js'
import { OutputError } from './output.js'

/** The options of `run`, and of every command, that take a value. */
const WITH_VALUE: readonly unknown[] = ['--root', '--lock-timeout', '--label', '--reason']

/**
 * Adds the `--` that may be left out before the command of `run`, whose options are its own. (Commander's
 * `passThroughOptions` would stop at the id, after which our options may still stand.)
 */
function withSeparator(argv: readonly string[]): readonly string[] {
  const operands = argv.flatMap((word, at) =>
    word.startsWith('-') || WITH_VALUE.includes(argv[at - 1]) ? [] : [at],
  )
  const [name = -1, , command = -1] = operands
  const isMissing = argv[name] === 'run' && command !== -1 && !argv.slice(0, command).includes('--')
  return isMissing ? argv.toSpliced(command, 0, '--') : argv
}

/**
 * Runs one command line. It gets all that it needs and never ends the process, so that a test can call it.
 *
 * @param given the arguments, without the program
 * @returns the exit status: 0 done, 1 the operation failed, 2 the command line is wrong, 124 a wait timed out
 */
export async function run(given: readonly string[], io: Io): Promise<number> {
  const argv = withSeparator(given)
  const cli = new Cli(io)
  try {
    if (argv[0] !== '__complete') await parse(argv, cli)
    else {
      // For the scripts of `sandbox-state completion`; in no help.
      const { candidates } = await import('./complete.js')
      await cli.printLines(await candidates(argv.slice(1), cli))
    }
    await cli.out.flush()
  } catch (error) {
    if (!(error instanceof OutputError && error.isClosedPipe)) await fail(error, argv, cli)
  }
  await cli.err.flush()
  return cli.status
}

async function parse(argv: readonly string[], cli: Cli): Promise<void> {
  try {
    await cli.program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander throws, too, when it has printed what was asked for.
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') return
    if (error.code !== 'commander.help') throw error
    cli.status = EXIT.usage // No command was given, and the help is on stderr.
  }
}

/** What was printed before the failure comes first. */
async function fail(error: unknown, argv: readonly string[], cli: Cli): Promise<void> {
  cli.status = failureOf(error, cli.help).status
  await cli.out.flush().catch(() => {}) // Something worse has happened.
  await cli.report(error, asksForJson(argv))
}

/** Looks at the bare arguments, since the error may be that they cannot be parsed. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  const options = end === -1 ? argv : argv.slice(0, end)
  return options.some(
    (word, at) =>
      word === '--json' || word === '--format=json' || (word === '--format' && options[at + 1] === 'json'),
  )
}
