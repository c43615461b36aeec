import type { HistoryEntry } from '../backend.js'

/** The recorded changes of a sandbox, oldest first. */
export async function* readHistory(_root: string, _id: string): AsyncGenerator<HistoryEntry> {}
