import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

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
