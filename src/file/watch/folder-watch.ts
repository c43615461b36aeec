import { existsSync, type Stats, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** The name under which a folder itself is reported: moved, removed, or no longer watched. */
export const ITSELF = '.'

/** A subscription to the kernel's events (inotify(7); on macOS FSEvents) in one folder. They are hints: some get lost. */
export interface FolderWatch {
  /** The {@link identity} of the folder, if it is known for certain. */
  readonly folder: string | undefined
  close(): void
}

/** Receives the name of the entry that changed in a folder; null if unknown. */
type FsEventHandler = (name: string | null) => void

/** Differs for a folder that later replaced this one. Inode numbers are reused, hence the time. */
export function identity({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev}-${ino}-${birthtimeMs}`
}

/** @returns undefined when the system allows no more watches: `max_user_watches`, `max_user_instances`, open files */
export function watchFolder(
  path: string,
  onFsEvent: FsEventHandler,
  folder?: string,
): FolderWatch | undefined {
  try {
    const watcher = watch(path, (_, name) => onFsEvent(name))
    watcher.on('error', () => onFsEvent(ITSELF))
    return { folder, close: () => watcher.close() }
  } catch {
    return undefined
  }
}

/**
 * Watches a folder that need not exist: until it does, the nearest existing one above it.
 * @param onFsEvent receives {@link ITSELF} when another folder may be at the path now, to be watched instead
 * @returns undefined when nothing can be watched
 */
export function watchPath(path: string, onFsEvent: FsEventHandler): FolderWatch | undefined {
  if (existsSync(path))
    return watchFolder(process.platform === 'linux' ? `${path}/${ITSELF}` : path, onFsEvent)
  let missing = path
  while (!existsSync(dirname(missing))) missing = dirname(missing)
  const above = watchPath(dirname(missing), name => {
    if (name === null || name === ITSELF || name === basename(missing)) onFsEvent(ITSELF)
  })
  if (above === undefined || !existsSync(missing)) return above
  above.close() // It was made in the meantime.
  return watchPath(path, onFsEvent)
}
