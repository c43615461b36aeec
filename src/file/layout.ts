/** The names that this package uses in a sandbox's folder. Kata keeps others beside them, which are never touched. */
export const STATE_FILE = 'state.json'
/** flock(2) is held on it for each change; Kata locks the same file. */
export const LOCK_FILE = 'lock'
/** The folder that proper-lockfile makes while it holds its lock on the state file: a dot-lock. */
export const DOT_LOCK = `${STATE_FILE}.lock`
/** flock(2) is held on it by the sandbox's owner for as long as it lives. */
export const OWNER_FILE = 'owner'
export const HISTORY_FILE = 'history.jsonl'
/** What the history was before its one rotation. */
export const OLD_HISTORY_FILE = 'history.jsonl.1'
/** Kata 1.11 and later keep their state here instead; such a sandbox is not ours. */
export const PERSIST_FILE = 'persist.json'
/** What `repair` set aside, below the root. No id can begin with a dot. */
export const QUARANTINE = '.quarantine'

export const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

/** What becomes the state file. One name serves: only the holder of the sandbox's locks makes it. */
export const TEMPORARY_FILE = '.state.json.tmp'

/** Whether a name is one of the temporary files of the state file, those of version 0.1.0 among them. */
export function isTemporaryFile(name: string): boolean {
  return name === TEMPORARY_FILE || /^state\.json\.\d+$/.test(name)
}
