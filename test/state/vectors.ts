import { readFileSync } from 'node:fs'

// What Go 1.19 does with Kata's file; fixtures/go/README.md says how it was recorded.

export interface Fields {
  state: string
  blockIndex: number
  guestMemoryBlockSize: number
  guestMemoryHotplugProbe: boolean
  cgroupPath: string
}

export interface EncodeVector {
  in: Fields & { persistVersion: number }
  bytes: string
}

export interface DecodeVector {
  input: string
  accepted: boolean
  valid: boolean
  state: Fields
}

export interface TransitionVector {
  Current: string
  Expected: string
  Next: string
  Ok: boolean
}

export interface ListVector {
  input: string
  ok: boolean
  error?: string
  result?: Record<string, string>[]
  string?: string
}

export const encodeVectors: EncodeVector[] = load('encode')
export const decodeVectors: DecodeVector[] = load('decode')
export const transitionVectors: TransitionVector[] = load('transitions')
export const volumeVectors: ListVector[] = load('volumes')
export const socketVectors: ListVector[] = load('sockets')
export const typeVectors: Record<string, string> = load('types')

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../fixtures/go/${name}.json`, import.meta.url), 'utf8'))
}
