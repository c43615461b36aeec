import type { Labels } from './labels.js'
import type { StateString } from './machine.js'

/** The largest file that is read or written, in bytes: 1 MiB. Kata's own are below 1 KiB. */
export const MAX_STATE_BYTES = 1024 * 1024

/**
 * The property that carries the keys of a file that this version does not know, such as `resources` of Kata 1.6.
 *
 * It is an own, enumerable property under a symbol: `{ ...state }` copies it, so that the keys survive a
 * read-change-write, while `JSON.stringify`, `Object.keys` and `in` with a text see only the known fields.
 * It is absent when there are no unknown keys. Two copies of this package in one program share the symbol.
 */
export const UNKNOWN_KEYS: unique symbol = Symbol.for('sandbox-state: unknown keys')

/** An unknown key, and its value as compact JSON text, so that a number of any size stays as it is. */
export type UnknownKey = readonly [key: string, json: string]

/** The unknown keys in their order in the file; the list and its pairs are frozen. */
export type UnknownKeys = readonly UnknownKey[]

/** The stored state of one sandbox (Kata's `SandboxState`). The fields have their JSON names. */
export interface SandboxState {
  /** Where the sandbox is in its life (Kata's `State`). */
  state: StateString
  /** The index of the block device passed to the hypervisor (Kata's `BlockIndex`): a safe integer, possibly negative. */
  blockIndex: number
  /** The size of a memory block of the guest in MiB (Kata's `GuestMemoryBlockSizeMB`): 0 to 2^32 - 1. */
  guestMemoryBlockSize: number
  /** Whether the guest's kernel has the interface to probe hotplugged memory (Kata's `GuestMemoryHotplugProbe`). */
  guestMemoryHotplugProbe: boolean
  /** The cgroup that holds the sandbox's processes, the hypervisor's too (Kata's `CgroupPath`); `''` without one. */
  cgroupPath: string
  /**
   * The version of the storage format (Kata's `PersistVersion`), from 0. In memory only, as in Kata: never written, so 0 in
   * every state that was read.
   */
  persistVersion: number
  /** Your own labels, sorted by name; absent when there are none. Kata ignores them when it reads a state. */
  labels?: Labels
  /**
   * Your own data: any JSON value, nested at most 1,000 levels deep; absent if never set. A store with a schema validates
   * and types it. Data that a change does not touch keeps its text in the file, byte for byte.
   */
  data?: unknown
  /** The keys of the file that this version does not know, with their JSON; `{ ...state }` takes them along. */
  [UNKNOWN_KEYS]?: UnknownKeys
}

/**
 * The fields that `create` takes: all but the state, as a sandbox always starts `ready`. One that is absent or undefined
 * starts as Go's zero value: 0, false or `''`.
 */
export type SandboxFields = {
  [Field in Exclude<keyof SandboxState, 'state' | typeof UNKNOWN_KEYS>]?: SandboxState[Field] | undefined
}
