import { closeSync, constants, existsSync, fstatSync, openSync, type Stats, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** The name under which a folder itself is reported: moved, removed, or no longer watched. */
export const ITSELF = '.'

/** The kernel's reports (inotify(7); on macOS FSEvents) of what happens in one folder. They are hints: some get lost. */
export interface FolderWatch {
  /** Which folder it is, whatever its path is now; see {@link identity}. */
  readonly folder: string
  close(): void
}

/** Is told the name of what changed in a folder; null when it is not known. */
export type Heard = (name: string | null) => void

/**
 * Watches an open folder.
 * @param path a path to it: below its descriptor where there are such, so that no other folder is watched instead
 * @returns undefined when the system allows no more watches: `max_user_watches`, `max_user_instances`, open files
 */
export function watchFolder(fd: number, path: string, heard: Heard): FolderWatch | undefined {
  try {
    const watcher = watch(path, (_, name) => heard(name))
    watcher.on('error', () => heard(ITSELF))
    return { folder: identity(fstatSync(fd)), close: () => watcher.close() }
  } catch {
    return undefined
  }
}

/** Tells a folder from one that was made later in its place: an inode's number is given again. */
export function identity({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev}-${ino}-${birthtimeMs}`
}

/**
 * Watches a folder that need not exist: as long as it does not, the nearest one above it.
 * @param heard is told {@link ITSELF} when the folder may be another now, or exist, and should be watched anew
 * @returns undefined when nothing can be watched
 */
export function watchWhereItWillBe(path: string, heard: Heard): FolderWatch | undefined {
  for (;;) {
    const { folder, next } = nearest(path)
    const onTheWay: Heard = name => {
      if (name === null || name === ITSELF || name === basename(next)) heard(ITSELF)
    }
    const watching = watchPath(folder, folder === path ? heard : onTheWay)
    if (watching === undefined || folder === path || !existsSync(next)) return watching
    watching.close() // It was made in the meantime.
  }
}

/** The nearest folder at or above a path, and below it the next one towards the path. */
function nearest(path: string): { folder: string; next: string } {
  let next = path
  for (let folder = path; ; folder = dirname(folder)) {
    if (existsSync(folder) || folder === dirname(folder)) return { folder, next }
    next = folder
  }
}

const DESCRIPTORS = '/proc/self/fd'
const anchored = existsSync(DESCRIPTORS)

function watchPath(path: string, heard: Heard): FolderWatch | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch {
    return undefined
  }
  try {
    return watchFolder(fd, anchored ? `${DESCRIPTORS}/${fd}/${ITSELF}` : path, heard)
  } finally {
    closeSync(fd)
  }
}
