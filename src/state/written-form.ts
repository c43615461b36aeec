import { isValidState } from './machine.js'
import type { SandboxState } from './sandbox-state.js'

/**
 * A state exactly as this package and Kata write it, if its cgroup path needs no escape and it has no unknown keys: nearly
 * every file. Decoding this form takes a tenth of the time of parsing JSON, and half the time of a loop over the table of
 * fields. The tests compare it with both.
 */
const WRITTEN_FORM =
  /^\{"state":"([a-z]+)","blockIndex":(0|-?[1-9]\d{0,14}),"guestMemoryBlockSize":(0|[1-9]\d{0,9}),"guestMemoryHotplugProbe":(true|false)(?:,"cgroupPath":"([ !#-[\]-~]+)")?\}$/

/**
 * The state in a text of the written form.
 * @returns undefined for any other text, valid or not
 */
export function decodeWrittenForm(text: string): SandboxState | undefined {
  const match = WRITTEN_FORM.exec(text)
  if (match === null) return undefined
  const [, state, blockIndex, blockSize, hotplugProbe, cgroupPath = ''] = match
  const guestMemoryBlockSize = Number(blockSize)
  if (!isValidState(state) || guestMemoryBlockSize > 0xffff_ffff) return undefined
  return {
    state,
    blockIndex: Number(blockIndex),
    guestMemoryBlockSize,
    guestMemoryHotplugProbe: hotplugProbe === 'true',
    cgroupPath,
    persistVersion: 0,
  }
}
