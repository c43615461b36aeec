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
import { type Fault, faultAt } from './fault.js'
import { octal } from './inspect.js'
import { type Inspection, inspectStable } from './inspect-stable.js'
import { inspectQuarantine } from './quarantine.js'
import { Trust } from './trust.js'

/** Names that filesystems, file servers, desktops and Kubernetes put into any folder. */
const NOT_OURS =
  /^(lost\+found|\.snapshot|\.nfs[0-9a-f]+|\.Trash-\d+|\.DS_Store|\._.+|@eaDir|\.\.data|\.\.\d{4}_.+)$/

/**
 * Every fault below a root, in no order; changes nothing. `inspectStable` keeps changes under way from counting as faults.
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
    const trust = new Trust(root)
    const inspections =
      id === undefined ? inspectAll(root, trust, options) : [await inspectStable(path, id, trust)]
    for await (const { faults } of inspections) {
      for (const { remedy, ...fault } of faults) yield { ...fault, repairable: remedy !== 'left' }
    }
  } finally {
    root.close()
  }
}

/** Reports its progress after each sandbox, once the caller is done with its faults. */
export async function* inspectAll(
  root: Dir,
  trust: Trust,
  { onProgress }: CheckOptions,
): AsyncGenerator<Inspection, void, undefined> {
  const { path } = root
  yield beside([...inspectRoot(root, trust), ...inspectQuarantine(path, trust)])
  const links: Fault[] = []
  let sandboxes = 0
  let hasSandbox = false
  for await (const name of namesIn(path)) {
    if (isValidId(name)) {
      hasSandbox ||= [STATE_FILE, LOCK_FILE].every(file => existsSync(join(path, name, file)))
      const inspection = await inspectStable(path, name, trust)
      const link = inspection.faults.find(one => one.code === 'SYMLINK' && one.path === join(path, name))
      if (link === undefined) yield inspection
      else links.push(link)
      sandboxes += 1
      onProgress?.(sandboxes)
    } else if (name !== QUARANTINE && !NOT_OURS.test(name)) yield beside([stray(path, name)])
  }
  // Links beside sandboxes count as sandboxes; those in a folder that was named by mistake, such as `/`, do not.
  yield beside(links.map(link => (hasSandbox ? link : { ...link, remedy: 'left' })))
}

/**
 * Opens the root, which may itself be a symbolic link.
 * @returns undefined when it does not exist
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

function beside(faults: readonly Fault[]): Inspection {
  return { faults, unconfirmed: [] }
}

function inspectRoot({ fd, path }: Dir, trust: Trust): Fault[] {
  const stat = fstatSync(fd)
  if (trust.faultyBitsOfRoot(stat) === 0) return []
  const why = `its mode is ${octal(stat.mode & 0o7777)}, so that other users can put sandboxes there or take them away`
  return [faultAt(path, 'WRONG_MODE', why, { remedy: 'left' })]
}

function stray(root: string, name: string): Fault {
  const message = `${show(name)} in ${root} is not a sandbox id; sandbox-state did not create it`
  return { code: 'INVALID_ID', path: join(root, name), message, remedy: 'left' }
}
