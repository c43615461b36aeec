import { constants, existsSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckOptions, Finding } from '../../check.js'
import { ioError, isErrno } from '../../errno.js'
import { isValidId } from '../../sandbox-id.js'
import { show } from '../../state/show.js'
import { LOCK_FILE, QUARANTINE, STATE_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { namesIn } from '../posix/names-in.js'
import { assertDir } from '../root-dir.js'
import { finding, type Owners, octal } from './inspect.js'
import { type Inspection, inspectStable } from './inspect-stable.js'
import { inspectQuarantine } from './quarantine.js'

/** What is no sandbox and yet no fault; `lost+found` is there where the root is a filesystem's own. */
const EXPECTED: ReadonlySet<string> = new Set([QUARANTINE, 'lost+found'])

/**
 * Every fault below a root, in no order; changes nothing. See `inspectStable` for what it does beside running processes.
 * @throws StateStoreError `IO_ERROR` when the root cannot be read
 */
export async function* checkFiles(
  path: string,
  options: CheckOptions & { readonly id?: string },
): AsyncGenerator<Finding, void, undefined> {
  const root = openRoot(path)
  if (root === undefined) return
  try {
    const { id } = options
    if (id !== undefined) yield* (await inspectStable(path, id, ownersBelow(root))).findings
    else for await (const { findings } of inspectAll(root, ownersBelow(root), options)) yield* findings
  } finally {
    root.close()
  }
}

/** Reports its progress after each sandbox, once the caller is done with its faults. */
export async function* inspectAll(
  root: Dir,
  owners: Owners,
  { onProgress }: CheckOptions,
): AsyncGenerator<Inspection, void, undefined> {
  const { path } = root
  const mode = fstatSync(root.fd).mode & 0o7777
  if ((mode & 0o022) !== 0) {
    const why = `its mode is ${octal(mode)}, so that other users can put sandboxes there or take them away`
    yield beside(finding('WRONG_MODE', path, why, false))
  }
  const fault = inspectQuarantine(path, owners)
  if (fault !== undefined) yield beside(fault)
  const links: Finding[] = []
  let sandboxes = 0
  let hasSandbox = false
  for await (const name of namesIn(path)) {
    if (isValidId(name)) {
      hasSandbox ||= [STATE_FILE, LOCK_FILE].every(file => existsSync(join(path, name, file)))
      const inspection = await inspectStable(path, name, owners)
      const link = inspection.findings.find(one => one.code === 'SYMLINK' && one.path === join(path, name))
      if (link === undefined) yield inspection
      else links.push(link)
      sandboxes += 1
      onProgress?.(sandboxes)
    } else if (!EXPECTED.has(name)) yield beside(stray(path, name))
  }
  // Links that stand beside sandboxes are taken for one; those of a folder named by mistake, such as `/`, are not.
  for (const link of links) yield beside({ ...link, repairable: hasSandbox })
}

/**
 * The root may itself be a symbolic link.
 * @returns undefined when there is none
 * @throws StateStoreError `IO_ERROR`
 */
export function openRoot(path: string): Dir | undefined {
  assertDir(path)
  try {
    return new Dir('', path, openSync(path, constants.O_RDONLY | constants.O_DIRECTORY))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'list', undefined, path)
  }
}

/** Whose files belong below a root: its owner's and this user's. */
export function ownersBelow(root: Dir): Owners {
  const { uid } = fstatSync(root.fd)
  return new Set([uid, process.geteuid?.() ?? uid])
}

function beside(fault: Finding): Inspection {
  return { findings: [fault], unconfirmed: [] }
}

function stray(root: string, name: string): Finding {
  const message = `${show(name)} in ${root} is not a sandbox id; sandbox-state did not create it`
  return { code: 'INVALID_ID', path: join(root, name), message, repairable: false }
}
