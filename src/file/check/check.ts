import { lstatSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckOptions, Finding } from '../../check.js'
import { ioError, isErrno } from '../../errno.js'
import { isValidId } from '../../sandbox-id.js'
import { show } from '../../state/show.js'
import { LOCK_FILE, QUARANTINE, STATE_FILE } from '../layout.js'
import { namesIn } from '../posix/names-in.js'
import { assertFolder } from '../root-dir.js'
import type { Owners } from './inspect.js'
import { lookTwice } from './inspect-stable.js'
import { lookAtQuarantine } from './quarantine.js'

/** What was found in one place below the root. */
export interface Found {
  /** The sandbox; undefined for the root itself and what is beside the sandboxes. */
  readonly id: string | undefined
  readonly findings: readonly Finding[]
  /** What seemed wrong in a sandbox that was never free for a look. */
  readonly suspicions: readonly Finding[]
}

/**
 * Every fault below a root, in no order; changes nothing. See `lookTwice` for what it does beside running processes.
 * @throws StateStoreError `IO_ERROR` when the root cannot be read
 */
export async function* checkFiles(
  root: string,
  options: CheckOptions = {},
): AsyncGenerator<Finding, void, undefined> {
  for await (const { findings } of findBelow(root, options)) yield* findings
}

/** After each sandbox it tells of its progress, when the caller is done with what was found there. */
export async function* findBelow(
  root: string,
  { onProgress }: CheckOptions = {},
): AsyncGenerator<Found, void, undefined> {
  const stat = lookAtRoot(root)
  if (stat === undefined) return
  const owners = ownersBelow(stat.uid)
  if ((stat.mode & 0o022) !== 0) yield beside([openToOthers(root, stat.mode)])
  yield beside(await lookAtQuarantine(root, owners))
  let sandboxes = 0
  let isOurs: boolean | undefined
  for await (const name of namesIn(root)) {
    if (isValidId(name)) {
      const { findings, suspicions } = await lookTwice(root, name, owners)
      const isLink = findings.some(({ code, path }) => code === 'SYMLINK' && path === join(root, name))
      if (isLink) isOurs ??= await holdsSandboxes(root)
      yield { id: name, findings: isLink && !isOurs ? findings.map(unrepairable) : findings, suspicions }
      sandboxes += 1
      onProgress?.(sandboxes)
    } else if (!EXPECTED.has(name)) yield beside([stray(root, name)])
  }
}

/** Links that stand beside sandboxes are taken for one; those of a folder that was named by mistake, such as `/`, are not. */
async function holdsSandboxes(root: string): Promise<boolean> {
  for await (const name of namesIn(root)) {
    const isOurs = isValidId(name) && [STATE_FILE, LOCK_FILE].every(file => isFile(join(root, name, file)))
    if (isOurs) return true
  }
  return false
}

function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile()
  } catch {
    return false
  }
}

function unrepairable(finding: Finding): Finding {
  return { ...finding, repairable: false }
}

function lookAtRoot(root: string): Stats | undefined {
  assertFolder(root)
  try {
    return statSync(root)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'list', undefined, root)
  }
}

/** What is no sandbox and yet no fault; `lost+found` is there where the root is a filesystem's own. */
const EXPECTED: ReadonlySet<string> = new Set([QUARANTINE, 'lost+found'])

/** Whose files belong below a root: its owner's and this user's. */
export function ownersBelow(owner: number): Owners {
  return new Set([owner, process.geteuid?.() ?? owner])
}

function beside(findings: readonly Finding[]): Found {
  return { id: undefined, findings, suspicions: [] }
}

function openToOthers(root: string, mode: number): Finding {
  const shown = (mode & 0o7777).toString(8)
  const message = `${root}: its mode is 0${shown}, so that other users can put sandboxes there or take them away`
  return { code: 'WRONG_MODE', path: root, message, repairable: false }
}

function stray(root: string, name: string): Finding {
  const message = `${show(name)} in ${root} is not a sandbox id; sandbox-state did not create it`
  return { code: 'INVALID_ID', path: join(root, name), message, repairable: false }
}
