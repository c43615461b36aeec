import { Buffer } from 'node:buffer'
import { isUint32 } from './fields.js'
import { isValidState } from './machine.js'
import type { SandboxState } from './sandbox-state.js'

/**
 * A state exactly as this package and Kata write it, if its cgroup path needs no escape and it has no unknown keys:
 * nearly every file there is. To take it apart so needs a quarter of the time that reading it as JSON does.
 */
const WRITTEN_FORM =
  /^\{"state":"([a-z]+)","blockIndex":(0|-?[1-9]\d{0,14}),"guestMemoryBlockSize":(0|[1-9]\d{0,9}),"guestMemoryHotplugProbe":(true|false)(?:,"cgroupPath":"([ !#-[\]-~]+)")?\}$/

/** Longer files are left to the general way, which counts their bytes first. */
const LONGEST = 4096

/**
 * The state in a text of the written form.
 * @returns undefined for any other text, valid or not
 */
export function decodeWrittenForm(input: string | Uint8Array): SandboxState | undefined {
  if (input.length > LONGEST) return undefined
  const match = WRITTEN_FORM.exec(typeof input === 'string' ? input : latin1(input))
  if (match === null) return undefined
  const [, state, blockIndex, blockSize, hotplugProbe, cgroupPath = ''] = match
  const guestMemoryBlockSize = Number(blockSize)
  if (!isValidState(state) || !isUint32(guestMemoryBlockSize)) return undefined
  return {
    state,
    blockIndex: Number(blockIndex),
    guestMemoryBlockSize,
    guestMemoryHotplugProbe: hotplugProbe === 'true',
    cgroupPath,
    persistVersion: 0,
  }
}

/** As good as UTF-8 here, and quicker: the form is ASCII. */
function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}
