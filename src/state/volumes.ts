import * as z from 'zod'
import { formatColonList, parseColonList } from './colon-list.js'
import { goString, goStruct } from './go-struct.js'

/** A folder that the host shares with the VM (Kata's `Volume`): `MountTag` hints the guest, `HostPath` is on the host. */
export const Volume = goStruct({ MountTag: goString, HostPath: goString })
export type Volume = z.infer<typeof Volume>

/** A list of volumes (Kata's `Volumes`). */
export const Volumes = z.array(Volume)
export type Volumes = z.infer<typeof Volumes>

const PARTS = ['MountTag', 'HostPath'] as const

/**
 * Reads volumes from text such as `tag:/path tag2:/path2` (Kata's `Volumes.Set`).
 *
 * @throws StateStoreError `INVALID_STATE` when the text or a part is empty, or an entry has not exactly two parts;
 * entries are separated by exactly one space
 * @throws TypeError when it is not text
 */
export function parseVolumes(text: string): Volumes {
  return parseColonList(text, 'volume', PARTS)
}

/**
 * Writes volumes as {@link parseVolumes} reads them, and no volumes as `''` (Kata's `Volumes.String`). As in Go,
 * a part with a colon or a space in it, or an empty one, is written as it is, though it could not be read back.
 *
 * @throws TypeError when it is not a list of volumes
 */
export function formatVolumes(list: readonly Volume[]): string {
  return formatColonList(list, 'volume', PARTS)
}
