import type { Command } from 'commander'
import type { Cli } from './cli.js'
import { type CommandSpec, define } from './command.js'

interface CommandEntry {
  readonly name: string
  /** For the list of commands. */
  readonly summary: string
  /** A command's code is loaded when that command is called, and no other's. */
  readonly load: () => Promise<{ readonly command: CommandSpec }>
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  entry('list', 'list the sandboxes and their states', () => import('./commands/list.js')),
  entry('state', "print one sandbox's state as JSON", () => import('./commands/state.js')),
  entry('inspect', 'print everything known about one sandbox', () => import('./commands/inspect.js')),
  entry('create', 'create a sandbox, which starts ready', () => import('./commands/create.js')),
  entry('transition', 'move a sandbox to another state', () => import('./commands/transition.js')),
  entry('update', "change a sandbox's other fields", () => import('./commands/update.js')),
  entry('delete', 'delete a sandbox', () => import('./commands/delete.js')),
  entry('run', 'run a command that owns a sandbox', () => import('./commands/run.js')),
  entry('prune', 'delete sandboxes that stopped long ago', () => import('./commands/prune.js')),
  entry('orphans', 'list the sandboxes whose owner died', () => import('./commands/orphans.js')),
  entry('reap', 'move the orphans to stopped', () => import('./commands/reap.js')),
  entry('watch', 'follow the sandboxes, live on a terminal', () => import('./commands/watch.js')),
  entry('wait', 'wait until a sandbox is in a state, or deleted', () => import('./commands/wait.js')),
  entry(
    'history',
    'show how a sandbox came to its state, and by whom',
    () => import('./commands/history.js'),
  ),
  entry('locks', 'show who holds which lock, and since when', () => import('./commands/locks.js')),
  entry('metrics', 'print numbers for Prometheus', () => import('./commands/metrics.js')),
  entry('check', 'look for damaged, foreign and leftover files', () => import('./commands/check.js')),
  entry('repair', 'set aside what is damaged, sweep up leftovers', () => import('./commands/repair.js')),
  entry('diagram', 'draw the state machine', () => import('./commands/diagram.js')),
  entry('completion', 'print a script for bash, zsh or fish', () => import('./commands/completion.js')),
  entry('copy', 'copy all sandboxes from one root to another', () => import('./commands/copy.js')),
  entry('import', 'import the sandboxes of Kata Containers >= 1.11', () => import('./commands/import.js')),
  entry('demo', 'show what it does on a temporary store', () => import('./commands/demo.js')),
  entry('help', 'explain a command', () => import('./commands/help.js')),
]

function entry(name: string, summary: string, load: CommandEntry['load']): CommandEntry {
  return { name, summary, load }
}

/** Fills in one of the program's commands, of which so far only the name is known. */
export async function defineCommand(command: Command, cli: Cli): Promise<void> {
  const module = await COMMANDS.find(({ name }) => name === command.name())?.load()
  if (module !== undefined) define(command, module.command, cli)
}
