import * as z from 'zod'
import { formatColonList, parseColonList } from './colon-list.js'
import { goString, goStruct } from './go-struct.js'

/** A socket between the host and the processes inside the VM (Kata's `Socket`); `HostPath` is its path on the host. */
export const Socket = goStruct({ DeviceID: goString, ID: goString, HostPath: goString, Name: goString })
export type Socket = z.infer<typeof Socket>

/** A list of sockets (Kata's `Sockets`). */
export const Sockets = z.array(Socket)
export type Sockets = z.infer<typeof Sockets>

const PARTS = ['DeviceID', 'ID', 'HostPath', 'Name'] as const

/**
 * Reads sockets from text such as `dev:id:/path:name dev2:id2:/path2:name2` (Kata's `Sockets.Set`).
 *
 * @throws StateStoreError `INVALID_STATE` when the text or a part is empty, or an entry has not exactly four parts;
 * entries are separated by exactly one space
 * @throws TypeError when it is not text
 */
export function parseSockets(text: string): Sockets {
  return parseColonList(text, 'socket', PARTS)
}

/**
 * Writes sockets as {@link parseSockets} reads them, and no sockets as `''` (Kata's `Sockets.String`). As in Go,
 * a part with a colon or a space in it, or an empty one, is written as it is, though it could not be read back.
 *
 * @throws TypeError when it is not a list of sockets
 */
export function formatSockets(list: readonly Socket[]): string {
  return formatColonList(list, 'socket', PARTS)
}
