// The names that this package uses in a sandbox's folder. Kata has other files beside them, which are never touched.

export const STATE_FILE = 'state.json'
/** flock(2) is held on it for each change; Kata locks the same file. */
export const LOCK_FILE = 'lock'
/** The folder that proper-lockfile creates while it holds its lock on the state file: a dot-lock. */
export const DOT_LOCK = `${STATE_FILE}.lock`
/** flock(2) is held on it by the sandbox's owner for as long as it lives. */
export const OWNER_FILE = 'owner'
export const HISTORY_FILE = 'history.jsonl'
/** The history before its last rotation. */
export const OLD_HISTORY_FILE = 'history.jsonl.1'
/** Kata 1.11 and later store their state here instead; such a sandbox is not ours. */
export const PERSIST_FILE = 'persist.json'
/** Where `repair` moves damaged files, below the root. No id can begin with a dot. */
export const QUARANTINE = '.quarantine'

export const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

/** The next state file, before its rename. One name is enough: only the holder of the sandbox's locks creates it. */
export const TEMPORARY_FILE = '.state.json.tmp'

/** All history files. */
export const HISTORY_FILES = [HISTORY_FILE, OLD_HISTORY_FILE] as const

/** Our files beside the state. They belong to its sandbox, and go with it. */
export const COMPANION_FILES: ReadonlySet<string> = new Set([
  ...[LOCK_FILE, OWNER_FILE, TEMPORARY_FILE],
  ...HISTORY_FILES,
])

/** Whether a name is that of a temporary state file, those of version 0.1.0 included. */
export function isTemporaryFile(name: string): boolean {
  return name === TEMPORARY_FILE || /^state\.json\.\d+$/.test(name)
}
