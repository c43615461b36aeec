import type * as z from 'zod'
import { goStruct, goUint } from './go-struct.js'

/** What a VM is given (Kata's `Resources`). */
export const Resources = goStruct({
  /** Memory in MiB: Go's `uint`, as far as JavaScript counts exactly. */
  Memory: goUint(Number.MAX_SAFE_INTEGER),
  /** Slots for hotplugged memory: Go's `uint8`, 0 to 255. */
  MemorySlots: goUint(255),
})
export type Resources = z.infer<typeof Resources>
