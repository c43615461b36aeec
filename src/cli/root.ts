import { realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { UsageError } from './errors.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where the sandboxes are kept. A variable that is empty counts as unset, and so does an `$XDG_STATE_HOME` that is
 * not absolute, as the XDG base directory specification asks.
 * @param option what `--root` says
 */
export function resolveRoot(option: string | undefined, env: Environment): string {
  return option ?? (env.SANDBOX_STATE_ROOT || join(stateHome(env), 'sandbox-state'))
}

function stateHome({ XDG_STATE_HOME, HOME }: Environment): string {
  if (XDG_STATE_HOME !== undefined && isAbsolute(XDG_STATE_HOME)) return XDG_STATE_HOME
  return join(HOME || homedir(), '.local', 'state')
}

/** A shell expands `~` at the beginning of a word only, not in `--root=~/x`. A folder of that name can be called `./~`. */
export function assertExpanded(root: string): void {
  if (root === '~' || root.startsWith('~/')) {
    throw new UsageError(
      `the shell did not expand the ~ of ${root}: write $HOME, or ./~ for a folder of that name`,
    )
  }
}

/** Whether two roots are one, by their text or by where they lead. */
export function isSameRoot(a: string, b: string): boolean {
  try {
    return a === b || realpathSync(a) === realpathSync(b)
  } catch {
    return false
  }
}
