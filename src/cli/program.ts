import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { Cli } from './cli.js'
import { describe, type HelpText, WIDTH } from './command.js'
import { COMMANDS, defineCommand } from './commands.js'
import { seconds } from './options.js'

export const HELP: HelpText = {
  description:
    'Keeps the state of each sandbox in a JSON file of its own. A change is made under a lock, checked ' +
    'against the state machine, and replaces the whole file.',
  notes: `Root:
  --root, else $SANDBOX_STATE_ROOT, else $XDG_STATE_HOME/sandbox-state, else
  ~/.local/state/sandbox-state. The first create makes it.
  etcd://HOST:PORT/PREFIX is a root on etcd.`,
  examples: [
    ['demo', 'see what it does'],
    ['create a', 'create a sandbox'],
    ['transition a running', 'start it'],
    ['list --root /run/vc/sbs', "list Kata's sandboxes"],
    ['help transition', 'explain one command'],
  ],
  done: 'done',
  failed: 'the operation failed: stderr says why, as "sandbox-state: CODE: message"',
}

/** The shape of the command line. What a command takes is defined when it is called: see {@link defineCommand}. */
export function createProgram(cli: Cli): Command {
  const program = describe(new Command('sandbox-state'), HELP)
    .option('--root <dir>', 'the folder that holds the sandboxes')
    .option('--lock-timeout <seconds>', 'how long to wait for a locked sandbox', seconds, 10)
    .usage('[options] <command>')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .configureHelp({ helpWidth: WIDTH, subcommandTerm: command => command.name(), showGlobalOptions: true })
    .configureOutput({
      writeOut: text => cli.out.add(text),
      writeErr: text => cli.err.add(text),
      outputError: () => {}, // The error that is thrown says it all.
    })
    .exitOverride()
    .hook('preSubcommand', async (_, command) => {
      cli.help = `sandbox-state ${command.name()} --help`
      await defineCommand(command, cli)
    })
  for (const { name, summary } of COMMANDS) program.command(name).summary(summary)
  return program
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
