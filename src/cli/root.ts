import { realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { ioError } from '../errno.js'
import { isEtcdRoot } from '../root.js'
import { UsageError } from './errors.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where the sandboxes are kept. A variable that is empty counts as unset, and so does an `$XDG_STATE_HOME` that is
 * not absolute, as the XDG base directory specification asks.
 * @param option what `--root` says
 */
export function resolveRoot(option: string | undefined, env: Environment): string {
  const root = option ?? (env.SANDBOX_STATE_ROOT || undefined)
  if (root !== undefined) return root
  const { XDG_STATE_HOME = '', HOME } = env
  const home = isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(HOME || homeOfUser(), '.local', 'state')
  return join(home, 'sandbox-state')
}

function homeOfUser(): string {
  try {
    return homedir()
  } catch {
    throw new UsageError('this user has no home folder: give --root, or set SANDBOX_STATE_ROOT')
  }
}

/**
 * Refuses what is hardly the root that was meant. A shell expands `~` at the beginning of a word only, not in `--root=~/x`;
 * a folder of that name can be called `./~`. Bytes that are not UTF-8 have become U+FFFD, which names another folder.
 */
export function assertMeant(root: string): void {
  if (root === '~' || root.startsWith('~/')) {
    throw new UsageError(`no shell expanded the ~ of ${root}: write $HOME, or ./~ for a folder of that name`)
  }
  if (root.includes('\ufffd')) throw new UsageError(`the root ${root} is not UTF-8`)
}

/**
 * A missing folder counts as empty, but as the source of a copy it is a mistake.
 * @throws StateStoreError `IO_ERROR`
 */
export function assertThere(folder: string): void {
  const path = resolve(folder)
  try {
    statSync(path)
  } catch (error) {
    throw ioError(error, 'read', undefined, path)
  }
}

/** Whether a root is another one, or lies in it, by their texts or by where they lead; the first need not exist. */
export function isWithin(root: string, other: string): boolean {
  if (isEtcdRoot(root) || isEtcdRoot(other)) return root === other
  const way = relative(whereItLeads(other), whereItLeads(root))
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function whereItLeads(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(resolve(path))
    return above === resolve(path) ? above : join(whereItLeads(above), basename(path))
  }
}
