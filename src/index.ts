export type { HeldLock, HistoryEntry, ListEntry, LockHolder } from './backend.js'
export type { Update } from './change.js'
export {
  type CheckOptions,
  FINDING_CODES,
  type Finding,
  type FindingCode,
  type Repair,
  type RepairAction,
  type RepairOptions,
} from './check.js'
export { type CopyOptions, type CopyProgress, type CopyResult, copyStore } from './copy.js'
export {
  CHANNELS,
  type ChangeMessage,
  type ConflictMessage,
  type ErrorMessage,
  type LockWaitMessage,
} from './diagnostics.js'
export { ERROR_CODES, type ErrorCode, type ErrorDetails, StateStoreError } from './errors.js'
export type { EtcdOptions } from './etcd/options.js'
export { decodeState, encodeState } from './state/codec.js'
export { Cmd, EnvVar, LinuxCapabilities } from './state/command.js'
export { type GoJson, toGoJson } from './state/go-json.js'
export {
  checkTransition,
  isValidState,
  type NextState,
  STATES,
  type StateString,
  TRANSITIONS,
} from './state/machine.js'
export { Resources } from './state/resources.js'
export type { SandboxFields, SandboxState } from './state/sandbox-state.js'
export { SandboxFieldsSchema, SandboxStateSchema } from './state/schema.js'
export { formatSockets, parseSockets, Socket, Sockets } from './state/sockets.js'
export { formatVolumes, parseVolumes, Volume, Volumes } from './state/volumes.js'
export {
  type DeleteOptions,
  type ListOptions,
  type LocksOptions,
  openStore,
  SandboxStore,
  type StoreOptions,
  type WaitOptions,
  type WatchOptions,
} from './store.js'
export type { StateEvent } from './watch.js'
