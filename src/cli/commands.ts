import type { Command } from 'commander'
import type { Cli } from './cli.js'

/** Gives a command its description, its arguments and options, and its action. */
export type Define = (command: Command, cli: Cli) => void

interface CommandEntry {
  readonly name: string
  /** For the list of commands. */
  readonly summary: string
  /** A command's code is loaded when that command is called, and no other's. */
  load(): Promise<{ readonly define: Define }>
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'list',
    summary: 'list the sandboxes and their states',
    load: () => import('./commands/list.js'),
  },
  {
    name: 'state',
    summary: "print one sandbox's state as JSON",
    load: () => import('./commands/state.js'),
  },
  {
    name: 'create',
    summary: 'make a sandbox, which starts ready',
    load: () => import('./commands/create.js'),
  },
  {
    name: 'transition',
    summary: 'move a sandbox to another state',
    load: () => import('./commands/transition.js'),
  },
  {
    name: 'update',
    summary: "change a sandbox's other fields",
    load: () => import('./commands/update.js'),
  },
  {
    name: 'delete',
    summary: 'delete a sandbox',
    load: () => import('./commands/delete.js'),
  },
  {
    name: 'watch',
    summary: 'follow the sandboxes, live on a terminal',
    load: () => import('./commands/watch.js'),
  },
  {
    name: 'wait',
    summary: 'wait until a sandbox is in a state, or deleted',
    load: () => import('./commands/wait.js'),
  },
  {
    name: 'history',
    summary: 'show how a sandbox came to its state, and by whom',
    load: () => import('./commands/history.js'),
  },
  {
    name: 'locks',
    summary: 'show who holds which sandbox, and since when',
    load: () => import('./commands/locks.js'),
  },
  {
    name: 'check',
    summary: 'look for damaged, foreign and leftover files',
    load: () => import('./commands/check.js'),
  },
  {
    name: 'repair',
    summary: 'set aside what is damaged, sweep up leftovers',
    load: () => import('./commands/repair.js'),
  },
  {
    name: 'diagram',
    summary: 'draw the state machine',
    load: () => import('./commands/diagram.js'),
  },
  {
    name: 'completion',
    summary: 'print a script for bash, zsh or fish',
    load: () => import('./commands/completion.js'),
  },
  {
    name: 'copy',
    summary: 'copy all sandboxes from one root to another',
    load: () => import('./commands/copy.js'),
  },
  {
    name: 'import',
    summary: 'take over the sandboxes of a later Kata Containers',
    load: () => import('./commands/import.js'),
  },
  {
    name: 'demo',
    summary: 'show all of it on a temporary store',
    load: () => import('./commands/demo.js'),
  },
  {
    name: 'help',
    summary: 'explain a command',
    load: () => import('./commands/help.js'),
  },
]

/** Fills in one of the program's commands, of which so far only the name is known. */
export async function defineCommand(command: Command, cli: Cli): Promise<void> {
  const entry = COMMANDS.find(({ name }) => name === command.name())
  const module = await entry?.load()
  module?.define(command, cli)
}
